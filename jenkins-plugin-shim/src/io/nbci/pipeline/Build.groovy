package io.nbci.pipeline

/**
 * A pipeline of nbci as stages of one Jenkins build: `nbci.plan` returns it, `nbci.run` and
 * `nbci.finish` take it.
 *
 * The classes of this package are written for the sandbox, and for a controller that may restart
 * between any two steps: each is serializable, has no constructor that calls its methods
 * (constructors are not transformed by workflow-cps) and no private member (closures do not reach
 * them). nbci decides what runs, where and after what, and what came of it; these classes carry
 * that out.
 */
class Build implements Serializable {
  def script      // the script of `vars/` that has the steps
  def options
  def stages = new Stages()
  def plugins
  def workspaces
  def results
  def data = ''   // what nbci saw of imported data, for the next build that a timer starts
  def study = ''  // what the next build goes on with, of a sweep
  def ending      // how nbci wants the build to end, once it is known

  Build(script, Options options) {
    this.script = script
    this.options = options
    this.plugins = new Plugins(script)
    this.workspaces = new Workspaces(script, options, stages, plugins)
    this.results = new Results(script, options, stages, plugins, workspaces)
  }

  /**
   * Asks nbci for the stages, and refuses labels that no agent carries. With a sweep, the stages are
   * those of its best trial.
   */
  def plan() {
    def planning = new Planning(this)
    def labels = new Labels(script, options, plugins)
    labels.refuseUnknown([options.label])
    if (options.sweep) {
      new Sweeping(this).search(labels)
    } else {
      script.stage('plan') {
        workspaces.inside(options.label) {
          planning.askForStages()
          if (options.lint && !stages.nothingToRun) {
            planning.lint()
          }
        }
      }
    }
    if (options.keepGoing != null) {
      stages.keepGoing = options.keepGoing == true
    }
    def wanted = []
    wanted.addAll(labels.of(stages))
    if (options.prove) {
      wanted << options.proofLabel()
    }
    labels.refuseUnknown(wanted.unique())
  }

  /** Runs the stages, each on an agent of its label, as soon as those before it are done. */
  def run() {
    if (!stages.nothingToRun) {
      new StageRunner(this).runAll()
    }
  }

  /** Gathers and publishes the results, and ends the build; `failure` is what `run` threw. */
  def finish(Throwable failure) {
    new Finishing(this).finish(failure)
  }

  /** For the next build of the same commit, which goes on with the sweep. */
  def rememberSweep() {
    if (study) {
      new Sweeping(this).remember()
    }
  }

  /** For the next build that a timer starts, which asks whether imported data has changed since. */
  def rememberData() {
    if (data) {
      script.env.NBCI_DATA = data
    }
  }
}
