/**
 * nbci's pipelines as stages of this build, to compose by hand; nbciPipeline is the three of them in a row.
 *
 * Written for the sandbox. nbci decides what runs, where and after what, and what came of it; this carries it out.
 */

/** Asks nbci for the stages. The answer is what `run` and `finish` take. */
def plan(Map options, Closure prepare = null) {
  if (!options.target) {
    error "nbci: say what to run, as in target: 'pipelines/digits.yaml'"
  }
  def name = options.target.toString().replaceAll('[^A-Za-z0-9.]+', '-')
  def job = [
    target: options.target.toString(),
    parameters: options.parameters ?: [:],
    command: (options.command ?: 'nbci').toString(),
    label: (options.label ?: '').toString(),
    labels: options.labels ?: [:],
    credentials: options.credentials ?: [:],
    reportName: (options.reportName ?: 'Notebook report').toString(),
    lint: options.lint,
    promote: options.promote,
    comment: options.comment,
    checkLabels: options.checkLabels != false,
    prepare: prepare,
    folder: ".nbci/build/${name}".toString(),
    stash: "nbci-${name}".toString(),
    mark: "${env.BUILD_TAG}".toString(),
    places: [:],    // node and workspace -> the numbers of the stages whose results lie there
    order: [],      // the numbers of the stages
    stages: [:],    // number -> what nbci said of it, and the numbers of those that wait for it
    waiting: [:],   // number -> how many stages it still waits for
    stashed: [:],   // number -> the number under which its results can be fetched; those of plan are 0
    decides: false, // whether nbci looks for stages that need no agent, which takes a shared remote
    hides: null,    // whether there is a step that hides others from the view of the stages; null: not known yet
    decided: [:],   // number -> why that stage needs no agent
    lost: [:],      // number -> how many tries of that stage ended with their agents, where it was then given up
  ]
  refuseLabels(job, [job.label])
  stage('plan') {
    inWorkspace(job, job.label) {
      askForStages(job)
      if (job.lint && !job.nothing) {
        lint(job)
      }
    }
  }
  if (options.keepGoing != null) {
    job.keepGoing = options.keepGoing == true
  }
  def wanted = []
  for (number in job.order) {
    wanted << labelOf(job, job.stages[number])
  }
  refuseLabels(job, wanted.unique())
  return job
}

/** Runs the stages, each on an agent of its label, the moment those before it are done. */
def run(Map job) {
  if (job.nothing) {
    return
  }
  def ready = []
  for (number in job.order) {
    if (job.waiting[number] == 0) {
      ready << number
    }
  }
  if (job.timeout) {
    timeout(time: job.timeout, unit: 'SECONDS') { carryOn(job, ready, [alive: 2]) }
  } else {
    carryOn(job, ready, [alive: 2])
  }
}

/** Gathers what there is, publishes it, and ends the build as nbci says; `failure` is what `run` threw. */
def finish(Map job, Throwable failure = null) {
  if (job.nothing) {
    rememberData(job)
    currentBuild.result = 'NOT_BUILT'
    describe(job.nothing)
    return
  }
  def ending = null
  try {
    stage('finish') {
      retry(count: 2, conditions: [agent(), nonresumable()]) {
        def promote = job.promote instanceof CharSequence ? job.promote.toString() : ''
        def page = hasStep('publishHTML') ? pageOf(job.reportName) : "artifact/${job.folder}/result/report/"
        def report = env.BUILD_URL ? "${env.BUILD_URL}${page}" : ''
        def stopped = failure != null && isInterruption(failure) ? "${failure.message ?: 'it was aborted'}" : ''
        def lost = []
        for (number in job.lost.keySet()) {
          lost << "${number}=${job.lost[number]}".toString()
        }
        def values = ["NBCI_PROMOTE=${promote}".toString(), "NBCI_REPORT_URL=${report}".toString(),
          "NBCI_STOPPED=${stopped}".toString(), "NBCI_LOST=${lost.join(' ')}".toString()]
        inWorkspace(job, job.label, values) {
          bring(job, job.order)
          def script = '"$NBCI_COMMAND" finish --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" ' +
            '--bring "$NBCI_BUILD/left" --out "$NBCI_BUILD/result" ${NBCI_STOPPED:+--stopped-by "$NBCI_STOPPED"}' +
            ' ${NBCI_LOST:+--lost $NBCI_LOST}' +
            (job.promote ? ' --promote ${NBCI_PROMOTE:+"$NBCI_PROMOTE"}' : '')
          def status = sh(script: script, returnStatus: true, label: 'nbci finish')
          ending = publish(job.folder + '/result', job.reportName, status)
          if (ending.told) {
            rememberData(job)
          }
          comment(job)
        }
      }
      if (ending.result == 'unstable') {
        unstable ending.message
      }
    }
  } catch (e) {
    if (failure == null) {
      throw e
    }
    echo "The report could not be made: ${e.message}"
    throw failure
  }
  if (failure != null && isInterruption(failure)) {
    throw failure
  }
  if (ending.result == 'failure') {
    error ending.message
  }
  if (failure != null) {
    throw failure
  }
}

/**
 * Publishes what nbci left in a folder of this workspace for a run that ended with this exit code. The answer is
 * `result` (`success`, `unstable` or `failure`) and a `message`.
 */
def publish(String folder, String reportName, int status) {
  def failed = [result: 'failure', message: "nbci ended with exit code ${status}: ${meaning(status)}".toString()]
  def ending = failed
  if (!fileExists(folder + '/ending.txt')) {
    return ending
  }
  def check = null
  def lines = readFile(file: folder + '/ending.txt', encoding: 'UTF-8').readLines()
  checkFormat(lines[0], 'nbci-ending 1')
  for (int i = 1; i < lines.size(); i++) {
    def fields = lines[i].split('\t', -1)
    if (fields[0] == 'result') {
      ending = [result: fields[1], message: fields[2], told: true]
    } else if (fields[0] == 'check') {
      check = [conclusion: fields[1], title: fields[2]]
    } else if (fields[0] == 'description') {
      describe(fields[1])
    }
  }
  // The step `junit` would mark this stage UNSTABLE when tests failed, also in a build that failed or was aborted:
  // https://github.com/jenkinsci/junit-plugin/blob/master/src/main/java/hudson/tasks/junit/pipeline/JUnitResultsStepExecution.java
  step([$class: 'JUnitResultArchiver', testResults: folder + '/report/junit.xml', allowEmptyResults: true,
    skipMarkingBuildUnstable: true])
  // where the report has a page of its own, its files are one archive, and do not crowd the page of the build
  def files = hasStep('publishHTML') ? "${folder}/report.zip" : "${folder}/report/**,${folder}/notebooks/**"
  archiveArtifacts artifacts: files, allowEmptyArchive: true
  whenThere(['publishHTML']) {
    publishHTML(reportDir: folder + '/report', reportFiles: 'index.html', reportName: reportName, keepAll: true,
      allowMissing: true, alwaysLinkToLastBuild: true)
  }
  if (check) {
    def summary = readFile(file: folder + '/report/summary.md', encoding: 'UTF-8')
    whenThere(['publishChecks']) {
      publishChecks(name: reportName, title: check.title, summary: summary, conclusion: check.conclusion,
        detailsURL: "${currentBuild.absoluteUrl}")
    }
  }
  return ending.result == 'success' && status != 0 ? failed : ending
}

/** Puts the summary on the pull request; not for one from a fork, whose code would see the token. */
def comment(Map job) {
  if (!job.comment || !env.CHANGE_ID || env.CHANGE_FORK) {
    return
  }
  try {
    withSecrets([credentials: [NBCI_FORGE_TOKEN: job.comment]], ['NBCI_FORGE_TOKEN']) {
      sh(script: '"$NBCI_COMMAND" comment', label: 'nbci comment')
    }
  } catch (e) {
    if (isInterruption(e)) {
      throw e
    }
    echo "The pull request has no comment of this build: ${e.message}"
  }
}

def describe(String line) {
  currentBuild.description = currentBuild.description ? "${currentBuild.description}; ${line}" : line
}

/** What an exit code of nbci means: the table of schemas/exit-codes.json, in the words of a build. */
def meaning(int status) {
  def known = [
    1: 'a step failed',
    2: 'wrong usage or configuration',
    3: 'a gate refused',
    4: 'infrastructure: the machine failed, not the notebook; try again',
    5: 'integrity: something stored is not what it says',
    70: 'a bug in nbci',
    126: 'infrastructure: nbci cannot be run on this agent',
    127: 'infrastructure: there is no nbci on this agent; say where it is with command:',
    130: 'it was interrupted',
    143: 'it was interrupted',
  ]
  return known[status] ?: 'the process was killed'
}

/** Whether an exception is an abort, a timeout, or the end of a sibling. */
def isInterruption(Throwable failure) {
  return failure.getClass().name.endsWith('FlowInterruptedException')
}

/**
 * Whether an exception is the end of an agent, which to Jenkins is one more way of being interrupted; its words:
 * https://github.com/jenkinsci/workflow-durable-task-step-plugin/blob/master/src/main/java/org/jenkinsci/plugins/workflow/support/steps/ExecutorStepExecution.java
 */
def isLostAgent(Throwable failure) {
  def message = "${failure.message}".toString()
  return isInterruption(failure) &&
    (message.contains('Timeout waiting for agent to come back') || message.contains('Agent was removed')) ||
    failure.getClass().name.endsWith('AgentOfflineException')
}

/** Does what needs the plugins that bring these steps, unless one is not there. */
def whenThere(List steps, Closure body) {
  try {
    body()
    return true
  } catch (NoSuchMethodError e) {
    for (step in steps) {
      if ("${e.message}".contains("No such DSL method '" + step + "'")) {
        return false
      }
    }
    throw e
  }
}

/** Whether there is a step, without calling it: the error about one that is not there names those that are. */
def hasStep(String name) {
  try {
    nbciNamesNoStepLikeThis()
  } catch (NoSuchMethodError e) {
    return "${e.message}".tokenize(' [,]').contains(name)
  }
  return false
}

/**
 * The page of a build that htmlpublisher gives a report of this name: each character but letters, digits and `-` is `_`
 * and its bytes, https://github.com/jenkinsci/htmlpublisher-plugin/blob/master/src/main/java/htmlpublisher/HtmlPublisherTarget.java
 */
def pageOf(String reportName) {
  def name = reportName.trim()
  def page = ''
  for (int i = 0; i < name.length(); i = name.offsetByCodePoints(i, 1)) {
    page += inPage(name.substring(i, name.offsetByCodePoints(i, 1)))
  }
  return page + '/'
}

/** One character as it stands in the address of a report's page. */
def inPage(String character) {
  if (character.matches('[a-zA-Z0-9-]')) {
    return character
  }
  def escaped = '_'
  def bytes = character.getBytes('UTF-8')
  for (int i = 0; i < bytes.length; i++) {
    escaped += String.format('%02x', bytes[i])
  }
  return escaped
}

def checkFormat(String found, String expected) {
  if (found != expected) {
    error "this library reads '${expected}', and nbci wrote '${found}': let both be of one version"
  }
}

// ---- planning

def askForStages(Map job) {
  job.data = seenData()
  def values = ["NBCI_TARGET=${job.target}".toString(), "NBCI_SEEN=${job.data}".toString(),
    "NBCI_POLL=${isTimersAlone() ? 'yes' : ''}".toString()]
  for (name in job.parameters.keySet()) {
    values << "NBCI_PARAM_${name}=${job.parameters[name]}".toString()
  }
  withEnv(values) {
    def script = '"$NBCI_COMMAND" plan "$NBCI_TARGET" ${NBCI_POLL:+--poll "$NBCI_SEEN"} --out "$NBCI_BUILD/plan.json" ' +
      '--store "$NBCI_BUILD/store" --leave "$NBCI_BUILD/left/0" --format jenkins > "$NBCI_BUILD/stages.txt"'
    def status = sh(script: script, returnStatus: true, label: 'nbci plan')
    if (status != 0) {
      error "nbci plan ended with exit code ${status}: ${meaning(status)}${planError(job)}"
    }
  }
  readStages(job, readFile(file: job.folder + '/stages.txt', encoding: 'UTF-8'))
  if (job.nothing) {
    return
  }
  hidden(job) { stash name: job.stash, includes: job.folder + '/plan.json' }
  job.decides = fileExists(job.folder + '/left/0/decided.txt')
  if (job.decides) {
    leave(job, 0)
  }
}

/** What nbci has against the plan, as it wrote it in the place of the stages; nothing where it did not get that far. */
def planError(Map job) {
  for (line in readFile(file: job.folder + '/stages.txt', encoding: 'UTF-8').readLines()) {
    def fields = line.split('\t', -1)
    if (fields[0] == 'error') {
      return ": ${fields[1]}".toString()
    }
  }
  return ''
}

/** Whether a timer started the build, and nobody else: then it is nbci that knows what the timer is for. */
def isTimersAlone() {
  def causes = currentBuild.getBuildCauses().size()
  return causes > 0 && currentBuild.getBuildCauses('hudson.triggers.TimerTrigger$TimerTriggerCause').size() == causes
}

/** For the next build that a timer starts. */
def rememberData(Map job) {
  if (job.data) {
    env.NBCI_DATA = job.data
  }
}

/** What the last build that told so saw of imported data. */
def seenData() {
  if (env.NBCI_DATA) {
    return env.NBCI_DATA
  }
  def build = currentBuild.previousBuild
  for (int i = 0; i < 20 && build != null; i++) {
    def seen = build.buildVariables.NBCI_DATA
    if (seen) {
      return seen.toString()
    }
    build = build.previousBuild
  }
  return ''
}

/** Lines of fields with tabs between them; `nbci plan --help` says which. */
def readStages(Map job, String text) {
  def lines = text.readLines()
  checkFormat(lines[0], 'nbci-plan 1')
  for (int i = 1; i < lines.size(); i++) {
    def fields = lines[i].split('\t', -1)
    if (fields[0] == 'run') {
      job.keepGoing = fields[1] == 'keep-going'
      job.timeout = fields[2] ? fields[2].toInteger() : null
    } else if (fields[0] == 'nothing') {
      job.nothing = fields[1]
    } else if (fields[0] == 'data') {
      job.data = fields[1]
    } else if (fields[0] == 'stage') {
      readStage(job, fields)
    }
  }
}

def readStage(Map job, fields) {
  def number = fields[1].toInteger()
  def after = numbers(fields[4])
  job.order << number
  job.stages[number] = [
    number: number,
    name: fields[2],
    label: fields[3],
    needs: numbers(fields[5]),
    timeout: fields[6] ? fields[6].toInteger() : null,
    attempts: fields[7].toInteger(),
    secrets: fields[8].tokenize(','),
    container: fields[9],
    next: [],
  ]
  job.waiting[number] = after.size()
  for (before in after) {
    job.stages[before].next << number
  }
}

def numbers(String text) {
  def found = []
  for (number in text.tokenize(',')) {
    found << number.toInteger()
  }
  return found
}

def lint(Map job) {
  withEnv(["NBCI_TARGET=${job.target}".toString()]) {
    sh script: '"$NBCI_COMMAND" lint "$NBCI_TARGET" --format issues > "$NBCI_BUILD/issues.json"', returnStatus: true, label: 'nbci lint'
  }
  whenThere(['recordIssues', 'issues']) {
    recordIssues(tools: [issues(pattern: job.folder + '/issues.json', name: 'nbci lint', id: 'nbci-lint')])
  }
}

/** Jenkins would wait for ever for an agent that nobody has. The plugin pipeline-utility-steps knows. */
def refuseLabels(Map job, List labels) {
  if (!job.checkLabels) {
    return
  }
  whenThere(['nodesByLabel']) {
    for (label in labels) {
      if (label && nodesByLabel(label: label, offline: true).size() == 0) {
        error "no node carries the label '${label}': say with labels: what it is called here, or let an agent carry it " +
          '(checkLabels: false where agents are made when they are asked for)'
      }
    }
  }
}

def labelOf(Map job, Map chain) {
  return (job.labels[chain.label] ?: chain.label ?: job.label).toString()
}

// ---- running

/**
 * Runs what is ready, and then whatever becomes ready by it. `group` is the branches that run side by side: the last of
 * them that is alive leaves what comes next to the branch that they came from, so that branches only nest as deep as
 * there are others that still run. For the same reason it is a loop: Jenkins cannot save a recursion of 500 stages.
 */
def carryOn(Map job, List first, Map group) {
  def ready = first
  while (ready) {
    if (ready.size() > 1) {
      ready = together(job, ready)
    } else {
      ready = carryOut(job, job.stages[ready[0]]) ? readyAfter(job, ready[0]) : []
    }
    if (group.alive == 1) {
      return ready
    }
  }
  return []
}

/** Runs stages side by side; the answer is what is ready when the last of their branches has ended. */
def together(Map job, List numbers) {
  def group = [alive: numbers.size(), left: []]
  def branches = [failFast: !job.keepGoing]
  for (number in numbers) {
    def mine = number
    branches[job.stages[mine].name] = {
      group.left = carryOn(job, [mine], group)
      group.alive = group.alive - 1
    }
  }
  parallel branches
  return group.left
}

/** Whether the stage passed. One that does not ends the build at once, unless the pipeline keeps going. */
def carryOut(Map job, Map chain) {
  def passed = false
  stage(chain.name) {
    if (job.decided[chain.number]) {
      echo "no agent is needed: ${job.decided[chain.number]}"
      passed = true
    } else if (job.keepGoing) {
      catchError(buildResult: 'FAILURE', stageResult: 'FAILURE', catchInterruptions: false) {
        onAgent(job, chain)
        passed = true
      }
    } else {
      onAgent(job, chain)
      passed = true
    }
  }
  return passed
}

/** The stages that waited for this one alone, or for it as the last. */
def readyAfter(Map job, int number) {
  def ready = []
  for (next in job.stages[number].next) {
    job.waiting[next] = job.waiting[next] - 1
    if (job.waiting[next] == 0) {
      ready << next
    }
  }
  return ready
}

/** A stage whose agent vanishes runs again, on another one if there is another. */
def onAgent(Map job, Map chain) {
  try {
    retry(count: chain.attempts, conditions: [agent(), nonresumable()]) {
      def lost = chain.tries ?: 0  // a try before this one has ended with its agent
      chain.tries = lost + 1
      inWorkspace(job, labelOf(job, chain), ["NBCI_STAGE=${chain.number}".toString(), "NBCI_LOST=${lost}".toString()]) {
        bring(job, chain.needs)
        withSecrets(job, chain.secrets) {
          inContainer(chain.container) {
            inTime(chain.timeout) { carryOutHere(job, chain) }
          }
        }
      }
    }
  } catch (e) {
    if (!isLostAgent(e)) {
      throw e
    }
    job.lost[chain.number] = chain.tries
    error "stage ${chain.name}: infrastructure, not the notebook: its agent vanished (${e.message})"
  }
}

def carryOutHere(Map job, Map chain) {
  def status = 1
  try {
    def script = '"$NBCI_COMMAND" step --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" ' +
      '--bring "$NBCI_BUILD/left" --stage "$NBCI_STAGE" --lost-attempts "$NBCI_LOST" ' +
      '--leave "$NBCI_BUILD/left/$NBCI_STAGE"'
    status = sh(script: script, returnStatus: true, label: "nbci step: ${chain.name}".toString())
  } catch (e) {
    try {
      leave(job, chain.number)
    } catch (lost) {
      echo "What stage ${chain.name} did so far is lost: ${lost.message}"
    }
    throw e
  }
  leave(job, chain.number)
  if (status != 0) {
    error "stage ${chain.name} ended with exit code ${status}: ${meaning(status)}"
  }
}

// ---- places

/**
 * On an agent, in a workspace that is ready: the sources and the plan are there, and nothing of another build.
 *
 * Each step more that a stage takes costs Jenkins some hundredths of a second, and saving the whole build: hence few.
 */
def inWorkspace(Map job, String label, List values = [], Closure body) {
  node(label) {
    def place = "${env.NODE_NAME} ${env.WORKSPACE}".toString()
    def mark = job.folder + '/mark'
    if (job.places[place] == null || markAt(mark) != job.mark) {
      if (env.CHANGE_FORK) {
        deleteDir()  // what the code of a fork has left here, such as hooks of git, is not for its next build
      }
      if (job.prepare) {
        def prepare = job.prepare
        prepare()
      }
      hidden(job) {
        dir(job.folder) { deleteDir() }
        writeFile file: mark, text: job.mark
        if (job.order) {
          unstash job.stash
        }
      }
      job.places[place] = [:]
    } else if (env.CHANGE_FORK && job.order) {
      // the code of a fork has run beside the plan, and the gates are in it
      hidden(job) { unstash job.stash }
    }
    withEnv(["NBCI_COMMAND=${job.command}".toString(), "NBCI_BUILD=${job.folder}".toString()] + values) { body() }
  }
}

/** Does what carries files about, out of sight where pipeline-graph-view knows how: nobody looks for it in a stage. */
def hidden(Map job, Closure body) {
  if (job.hides == null || job.hides) {
    job.hides = whenThere(['hideFromView']) { hideFromView { body() } }
  }
  if (!job.hides) {
    body()
  }
}

/** The mark of the build that has readied this workspace; none when it was cleared since. */
def markAt(String file) {
  try {
    return readFile(file)
  } catch (IOException e) {
    return null
  }
}

/** Fetches what these stages left, unless it lies here already. */
def bring(Map job, List numbers) {
  def here = job.places["${env.NODE_NAME} ${env.WORKSPACE}".toString()]
  for (number in numbers) {
    def from = job.stashed[number]
    if (from != null && !here[from]) {
      hidden(job) { unstash "${job.stash}-${from}" }
      here[from] = true
    }
  }
}

/** Makes what this stage did, or plan for 0, available to others: also the record of a failure. */
def leave(Map job, int number) {
  def left = "${job.folder}/left/${number}".toString()
  hidden(job) { stash name: "${job.stash}-${number}", includes: left + '/**', allowEmpty: true }
  if (number > 0) {
    job.stashed[number] = number
  }
  job.places["${env.NODE_NAME} ${env.WORKSPACE}".toString()][number] = true
  if (job.decides && fileExists(left + '/decided.txt')) {
    readDecided(job, number, readFile(file: left + '/decided.txt', encoding: 'UTF-8').readLines())
  }
}

/** Stages that nbci has found to need no agent: their results are among those of the stage that has just ended. */
def readDecided(Map job, int by, List lines) {
  checkFormat(lines[0], 'nbci-decided 1')
  for (int i = 1; i < lines.size(); i++) {
    def fields = lines[i].split('\t', -1)
    def number = fields[0].toInteger()
    if (job.stashed[number] == null) {
      job.stashed[number] = by
      job.decided[number] = fields[1]
    }
  }
}

/** Only the secrets that a stage asks for are shown to it. */
def withSecrets(Map job, List names, Closure body) {
  def bindings = []
  for (name in names) {
    def credential = job.credentials[name]
    if (credential instanceof Map) {
      bindings << credential
    } else if (credential) {
      bindings << [$class: 'StringBinding', credentialsId: credential.toString(), variable: name]
    }
  }
  if (bindings) {
    withCredentials(bindings) { body() }
  } else {
    body()
  }
}

def inContainer(String image, Closure body) {
  if (!image) {
    body()
    return
  }
  def containers = null
  try {
    containers = docker
  } catch (MissingPropertyException e) {
    error "a step asks for the container ${image}: this needs the plugin docker-workflow"
  }
  containers.image(image).inside { body() }
}

/** nbci sees to the timeouts of steps itself; this ends what does not even answer. */
def inTime(Integer seconds, Closure body) {
  if (seconds) {
    timeout(time: seconds, unit: 'SECONDS') { body() }
  } else {
    body()
  }
}
