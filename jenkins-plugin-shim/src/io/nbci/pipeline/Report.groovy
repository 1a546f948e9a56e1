package io.nbci.pipeline

/** Publishes what `nbci finish` wrote on the page of the build. */
class Report implements Serializable {
  def script
  def plugins

  Report(script) {
    this.script = script
    this.plugins = new Plugins(script)
  }

  /**
   * Publishes what nbci left in a folder of this workspace for a run that ended with this exit
   * code. Returns `result` (`success`, `unstable` or `failure`) and a `message`; `fromNbci` is true
   * where nbci itself wrote them.
   */
  def publish(String folder, String reportName, int status) {
    def ending = readEnding(folder, '', status)
    if (!script.fileExists(folder + '/ending.txt')) {
      return ending
    }
    publishTests(folder + '/report/junit.xml')
    publishFiles(folder, reportName)
    publishMonitors(folder, ending)
    handOverPage(folder, reportName)
    if (ending.check) {
      publishCheck(folder, reportName, ending.check)
    }
    return ending
  }

  /**
   * How nbci wants the build to end, as it wrote into a folder; a failure where it wrote nothing, or
   * ended with another exit code than that asks for. `run` is the id of the run, `check` for the
   * commit; `monitors` are folders of windows that were judged, `retrain` the models that are to be
   * trained again, `deploy` the places that what was released is for.
   */
  def readEnding(String folder, String command, int status) {
    def who = command ? 'nbci ' + command : 'nbci'
    def message = "${who} ended with exit code ${status}: ${ExitCodes.meaning(status)}".toString()
    def ending = [result: 'failure', message: message, monitors: [], retrain: [], deploy: []]
    if (!script.fileExists(folder + '/ending.txt')) {
      return ending
    }
    for (fields in new TabbedFile(script).read(folder + '/ending.txt', 'nbci-ending 1')) {
      if (fields[0] == 'result') {
        ending.fromNbci = true
        if (fields[1] != 'success' || status == 0) {
          ending.result = fields[1]
          ending.message = fields[2]
        }
      } else if (fields[0] == 'check') {
        ending.check = [conclusion: fields[1], title: fields[2]]
      } else if (fields[0] == 'run') {
        ending.run = fields[1]
      } else if (fields[0] == 'description') {
        describe(fields[1])
      } else if (fields[0] == 'monitor') {
        ending.monitors << [folder: fields[1], title: fields[2]]
      } else if (fields[0] == 'retrain') {
        ending.retrain << [model: fields[1], because: fields[2]]
      } else if (fields[0] == 'deploy') {
        ending.deploy << [place: fields[1], label: fields[2], release: fields[3]]
      }
    }
    return ending
  }

  /** Publishes the pages of windows that were judged, and their columns as tests. */
  def publishMonitors(String folder, Map ending) {
    for (monitor in ending.monitors) {
      def place = monitor.folder ? folder + '/' + monitor.folder : folder
      publishTests(place + '/junit.xml')
      script.archiveArtifacts artifacts: place + '/**', allowEmptyArchive: true
      plugins.whenInstalled(['publishHTML']) {
        script.publishHTML(
          reportDir: place, reportFiles: 'index.html',
          reportName: monitor.title, keepAll: true, allowMissing: true, alwaysLinkToLastBuild: true)
      }
    }
  }

  def publishTests(String files) {
    // The step `junit` would mark this stage UNSTABLE when tests failed, also in a build that
    // failed or was aborted:
    // https://github.com/jenkinsci/junit-plugin/blob/master/src/main/java/hudson/tasks/junit/pipeline/JUnitResultsStepExecution.java
    script.step([
      $class: 'JUnitResultArchiver', testResults: files,
      allowEmptyResults: true, skipMarkingBuildUnstable: true,
    ])
  }

  def publishFiles(String folder, String reportName) {
    def files = "${folder}/report/**,${folder}/notebooks/**"
    if (plugins.hasStep('publishHTML')) {
      // the report has a page of its own: one archive does not crowd the page of the build
      files = "${folder}/report.zip"
    }
    script.archiveArtifacts artifacts: files, allowEmptyArchive: true
    plugins.whenInstalled(['publishHTML']) {
      script.publishHTML(
        reportDir: folder + '/report', reportFiles: 'index.html', reportName: reportName,
        keepAll: true, allowMissing: true, alwaysLinkToLastBuild: true)
    }
  }

  /** Hands over what the page of this build shows, where the plugin of nbci shows it. */
  def handOverPage(String folder, String reportName) {
    def page = folder + '/page.json'
    // the nbci of an agent may be older than this library
    if (!script.fileExists(page)) {
      return
    }
    try {
      plugins.whenInstalled(['nbciPage']) {
        script.nbciPage file: page, report: pathInBuild(reportName, folder)
      }
    } catch (e) {
      if (Interruptions.isInterruption(e)) {
        throw e
      }
      script.echo "The page of this build lacks its run: ${e.message}"
    }
  }

  /** A check beside the commit, by the plugin checks-api. */
  def publishCheck(String folder, String reportName, Map check) {
    def summary = script.readFile(file: folder + '/report/summary.md', encoding: 'UTF-8')
    plugins.whenInstalled(['publishChecks']) {
      script.publishChecks(
        name: reportName, title: check.title, summary: summary, conclusion: check.conclusion,
        detailsURL: "${script.currentBuild.absoluteUrl}")
    }
  }

  /** Adds a line to the description of the build, which may be another pipeline's already. */
  def describe(String line) {
    def before = script.currentBuild.description
    script.currentBuild.description = before ? "${before}; ${line}" : line
  }

  /** Where the report that nbci left in a folder is below the address of the build. */
  def pathInBuild(String reportName, String folder) {
    if (plugins.hasStep('publishHTML')) {
      return pageOf(reportName)
    }
    return "artifact/${folder}/report/".toString()
  }

  /**
   * The page of a build that htmlpublisher gives a report of this name: each character but letters,
   * digits and `-` is `_` and its bytes,
   * https://github.com/jenkinsci/htmlpublisher-plugin/blob/master/src/main/java/htmlpublisher/HtmlPublisherTarget.java
   */
  def pageOf(String reportName) {
    def name = reportName.trim()
    def page = ''
    for (int i = 0; i < name.length(); i = name.offsetByCodePoints(i, 1)) {
      page += escaped(name.substring(i, name.offsetByCodePoints(i, 1)))
    }
    return page + '/'
  }

  /** One character as it stands in the address of a report's page. */
  def escaped(String character) {
    if (character.matches('[a-zA-Z0-9-]')) {
      return character
    }
    def text = '_'
    def bytes = character.getBytes('UTF-8')
    for (int i = 0; i < bytes.length; i++) {
      text += String.format('%02x', bytes[i])
    }
    return text
  }
}
