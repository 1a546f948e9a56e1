package io.nbci.pipeline

/** What nbci gave a worker of a sweep to carry out: to those who run stages, a build of its own. */
class Trial implements Serializable {
  def script
  def options     // with a folder and stashes of the worker
  def stages = new Stages()
  def plugins
  def workspaces
  def results
  int told        // how much had been told when it was given out
  def stoppedBy = ''
  boolean isTold = false

  Trial(Build build, Options options) {
    this.script = build.script
    this.options = options
    this.plugins = build.plugins
    this.workspaces = new TrialWorkspaces(script, options, stages, plugins, build.workspaces)
    this.results = new Results(script, options, stages, plugins, workspaces)
  }

  /** Runs its stages. That one fails is nothing to end a build for: nbci is told. */
  def carryOut() {
    def began = System.currentTimeMillis()
    try {
      new StageRunner(this).runAll()
    } catch (e) {
      def ofOthers = Interruptions.isInterruption(e) && !Interruptions.isLostAgent(e)
      if (ofOthers && !isTimeUp(e, System.currentTimeMillis() - began)) {
        throw e
      }
      this.stoppedBy = "${e.message}".toString()
    }
  }

  /** Whether it was ended by a limit of its own, and not by one around the build. */
  def isTimeUp(Throwable failure, long milliseconds) {
    if (!"${failure.message}".contains('Timeout has been exceeded')) {
      return false
    }
    def limits = [stages.timeout]
    for (number in stages.numbers) {
      limits << stages.byNumber[number].timeout
    }
    for (limit in limits) {
      if (limit != null && milliseconds >= limit * 1000) {
        return true
      }
    }
    return false
  }
}
