package io.nbci.pipeline

/** Asks nbci what this build has to run. */
class Planning implements Serializable {
  def script
  def options
  def stages
  def build

  /** `build` is a Build, or a Trial, which has the same parts. */
  Planning(build) {
    this.script = build.script
    this.options = build.options
    this.stages = build.stages
    this.build = build
  }

  /** Runs `nbci plan` in this workspace; fills in the stages, or why there is nothing to run. */
  def askForStages() {
    build.data = lastSeenData()
    def poll = isStartedByTimerAlone() ? 'yes' : ''
    def values = [
      "NBCI_TARGET=${options.target}".toString(),
      "NBCI_SEEN=${build.data}".toString(),
      "NBCI_POLL=${poll}".toString(),
    ]
    script.withEnv(values + parameterValues()) {
      def command = '"$NBCI_COMMAND" plan "$NBCI_TARGET" ${NBCI_POLL:+--poll "$NBCI_SEEN"} ' +
        '--out "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" --leave "$NBCI_BUILD/left/0" ' +
        '--format jenkins > "$NBCI_BUILD/stages.txt"'
      def status = script.sh(script: command, returnStatus: true, label: 'nbci plan')
      if (status != 0) {
        def meaning = ExitCodes.meaning(status)
        script.error "nbci plan ended with exit code ${status}: ${meaning}${planError()}"
      }
    }
    readStages()
    if (stages.nothingToRun) {
      return
    }
    build.plugins.hidden {
      script.stash name: options.stash, includes: options.folder + '/plan.json'
    }
    stages.decides = script.fileExists(options.folder + '/left/0/decided.txt')
    if (stages.decides) {
      build.results.leave(0)
    }
  }

  /** The values of the pipeline's parameters, as nbci takes them from its environment. */
  def parameterValues() {
    def values = []
    for (name in options.parameters.keySet()) {
      values << "NBCI_PARAM_${name}=${options.parameters[name]}".toString()
    }
    return values
  }

  /** The error that nbci wrote in the place of the stages; empty where it did not get that far. */
  def planError() {
    def text = script.readFile(file: options.folder + '/stages.txt', encoding: 'UTF-8')
    for (line in text.readLines()) {
      def fields = line.split('\t', -1)
      if (fields[0] == 'error') {
        return ": ${fields[1]}".toString()
      }
    }
    return ''
  }

  /** Whether only a timer started the build: then nbci knows what the timer is for. */
  def isStartedByTimerAlone() {
    def timer = 'hudson.triggers.TimerTrigger$TimerTriggerCause'
    def causes = script.currentBuild.getBuildCauses().size()
    return causes > 0 && script.currentBuild.getBuildCauses(timer).size() == causes
  }

  /** What the last build that noted it saw of imported data. */
  def lastSeenData() {
    if (script.env.NBCI_DATA) {
      return script.env.NBCI_DATA
    }
    def earlier = script.currentBuild.previousBuild
    for (int i = 0; i < 20 && earlier != null; i++) {
      def seen = earlier.buildVariables.NBCI_DATA
      if (seen) {
        return seen.toString()
      }
      earlier = earlier.previousBuild
    }
    return ''
  }

  /** Reads what `nbci plan --format jenkins` wrote; its help describes the lines. */
  def readStages() {
    def file = options.folder + '/stages.txt'
    for (fields in new TabbedFile(script).read(file, 'nbci-plan 1')) {
      if (fields[0] == 'run') {
        stages.keepGoing = fields[1] == 'keep-going'
        stages.timeout = seconds(fields[2])
      } else if (fields[0] == 'nothing') {
        stages.nothingToRun = fields[1]
      } else if (fields[0] == 'data') {
        build.data = fields[1]
      } else if (fields[0] == 'stage') {
        readStage(fields)
      } else {
        stages.said[fields[0]] = fields[1]
        if (fields[0] == 'wait') {
          stages.askAgain = seconds(fields[2])
        }
      }
    }
  }

  def readStage(fields) {
    def stage = new PlannedStage()
    stage.number = fields[1].toInteger()
    stage.name = fields[2]
    stage.label = fields[3]
    stage.needs = numbers(fields[5])
    stage.timeout = seconds(fields[6])
    stage.attempts = fields[7].toInteger()
    stage.secrets = fields[8].tokenize(',')
    stage.container = fields[9]
    stages.add(stage, numbers(fields[4]))
  }

  /** A number of seconds, or null for no limit. */
  def seconds(String text) {
    return text ? text.toInteger() : null
  }

  def numbers(String text) {
    def found = []
    for (number in text.tokenize(',')) {
      found << number.toInteger()
    }
    return found
  }

  /** Runs `nbci lint` and hands its findings to the plugin warnings-ng. */
  def lint() {
    script.withEnv(["NBCI_TARGET=${options.target}".toString()]) {
      // findings end no build: its exit code is not asked for
      script.sh(
        script: '"$NBCI_COMMAND" lint "$NBCI_TARGET" --format issues > "$NBCI_BUILD/issues.json"',
        returnStatus: true, label: 'nbci lint')
    }
    build.plugins.whenInstalled(['recordIssues', 'issues']) {
      def found = script.issues(
        pattern: options.folder + '/issues.json', name: 'nbci lint', id: 'nbci-lint')
      script.recordIssues(tools: [found])
    }
  }
}
