package io.nbci.pipeline

/** Carries the results of stages from agent to agent, as stashes. */
class Results implements Serializable {
  def script
  def options
  def stages
  def plugins
  def workspaces

  Results(script, Options options, Stages stages, Plugins plugins, Workspaces workspaces) {
    this.script = script
    this.options = options
    this.stages = stages
    this.plugins = plugins
    this.workspaces = workspaces
  }

  /** Fetches what these stages left, unless it lies in this workspace already. */
  def bring(List numbers) {
    def present = workspaces.contents[workspaces.here()]
    for (number in numbers) {
      def from = stages.byNumber[number].resultsFrom
      if (from != null && !present[from]) {
        plugins.hidden { script.unstash "${options.stash}-${from}" }
        present[from] = true
      }
    }
  }

  /** Stashes what a stage did, or `nbci plan` for 0, for others: also the record of a failure. */
  def leave(int number) {
    def left = "${options.folder}/left/${number}".toString()
    plugins.hidden {
      script.stash name: "${options.stash}-${number}", includes: left + '/**', allowEmpty: true
    }
    if (number > 0) {
      stages.byNumber[number].resultsFrom = number
    }
    workspaces.contents[workspaces.here()][number] = true
    if (stages.decides && script.fileExists(left + '/decided.txt')) {
      readDecided(number, left + '/decided.txt')
    }
  }

  /**
   * Notes the stages that nbci found to need no agent: their results are among those of the stage
   * that just ended.
   */
  def readDecided(int by, String file) {
    for (fields in new TabbedFile(script).read(file, 'nbci-decided 1')) {
      def stage = stages.byNumber[fields[0].toInteger()]
      if (stage.resultsFrom == null) {
        stage.resultsFrom = by
        stage.needsNoAgent = fields[1]
      }
    }
  }
}
