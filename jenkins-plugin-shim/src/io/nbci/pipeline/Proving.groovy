package io.nbci.pipeline

/**
 * Has the finished run carried out once more, on an agent of a label of its own, and ends the build
 * by what came of it.
 */
class Proving implements Serializable {
  def script
  def options
  def build

  Proving(Build build) {
    this.script = build.script
    this.options = build.options
    this.build = build
  }

  /** Leaves the records of a run for the agent that proves it; called where `nbci finish` ran. */
  def leave(String run) {
    def records = ".nbci/runs/${run}".toString()
    build.plugins.hidden {
      script.stash name: stash(), includes: records + '/**', excludes: records + '/report/**'
    }
  }

  /** Returns how nbci wanted the build to end; it throws where the proof failed. */
  def prove(String run) {
    def ending = null
    script.stage('prove') {
      script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) {
        ending = carryOut(run)
      }
      if (ending.result == 'unstable') {
        script.unstable ending.message
      } else if (ending.result == 'failure') {
        script.error ending.message
      }
    }
    return ending
  }

  /** Runs `nbci prove` on an agent; returns how the build is to end. */
  def carryOut(String run) {
    def ending = null
    def promote = options.promote instanceof CharSequence ? options.promote.toString() : ''
    def values = ["NBCI_RUN=${run}".toString(), "NBCI_PROMOTE=${promote}".toString()]
    build.workspaces.inside(options.proofLabel(), values) {
      def folder = options.folder + '/proof'
      build.plugins.hidden {
        script.unstash stash()
        script.dir(folder) { script.deleteDir() }
      }
      def command = '"$NBCI_COMMAND" prove "$NBCI_RUN" --out "$NBCI_BUILD/proof"'
      if (options.promote) {
        command += ' --promote ${NBCI_PROMOTE:+"$NBCI_PROMOTE"}'
      }
      def status = script.sh(script: command, returnStatus: true, label: 'nbci prove')
      ending = new Report(script).readEnding(folder, 'prove', status)
      script.archiveArtifacts artifacts: folder + '/proof.json', allowEmptyArchive: true
    }
    return ending
  }

  def stash() {
    return "${options.stash}-run".toString()
  }
}
