package io.nbci.pipeline

/**
 * Judges a window of data against the release that answers it, on an agent: by the command
 * `nbci monitor`, without a pipeline file.
 */
class Monitoring implements Serializable {
  def script
  def options
  def build

  Monitoring(Build build) {
    this.script = build.script
    this.options = build.options
    this.build = build
  }

  /** Judges, publishes what nbci found, and ends the build as nbci says. */
  def judge() {
    new Labels(script, options, build.plugins).refuseUnknown([options.label])
    script.stage('monitor') {
      def ending = null
      script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) {
        ending = judgeOnAgent()
      }
      build.ending = ending
      if (ending.result == 'unstable') {
        script.unstable ending.message
      } else if (ending.result == 'failure') {
        script.error ending.message
      }
    }
  }

  def judgeOnAgent() {
    def ending = null
    def folder = options.folder + '/result'
    build.workspaces.inside(options.label, values()) {
      build.plugins.hidden {
        script.dir(folder) { script.deleteDir() }
      }
      def status = runWhileMachineFails()
      def report = new Report(script)
      ending = report.readEnding(folder, 'monitor', status)
      report.publishMonitors(folder, ending)
      new Retraining(build).leave(ending)
    }
    return ending
  }

  /** The exit code of `nbci monitor`; it runs again where git or a remote was away. */
  def runWhileMachineFails() {
    def command = '"$NBCI_COMMAND" monitor "$NBCI_MODEL" ${NBCI_MONITOR_LOG:+--log "$NBCI_MONITOR_LOG"} ' +
      '${NBCI_MONITOR_DATA:+--data "$NBCI_MONITOR_DATA"} ' +
      '${NBCI_MONITOR_LABELS:+--labels "$NBCI_MONITOR_LABELS"} ' +
      '${NBCI_MONITOR_WINDOW:+--window "$NBCI_MONITOR_WINDOW"} ' +
      '${NBCI_MONITOR_RULES:+--rules "$NBCI_MONITOR_RULES"} --out "$NBCI_BUILD/result"'
    def status = 4
    for (int i = 0; i < 3 && status == 4; i++) {
      if (i > 0) {
        script.sleep time: 30, unit: 'SECONDS'
      }
      status = script.sh(script: command, returnStatus: true, label: 'nbci monitor')
    }
    return status
  }

  /** What the script of `nbci monitor` reads: values never stand in its text. */
  def values() {
    def given = options.given
    def found = ["NBCI_MODEL=${given.model}".toString()]
    // `labels` are those of agents
    def names = [log: 'LOG', data: 'DATA', labelFolder: 'LABELS', window: 'WINDOW', rules: 'RULES']
    for (name in names.keySet()) {
      found << "NBCI_MONITOR_${names[name]}=${given[name] ?: ''}".toString()
    }
    return found
  }
}
