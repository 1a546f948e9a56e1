package io.nbci.pipeline

/** The workspaces of the build, with a folder in each for what a worker of a sweep carries out. */
class TrialWorkspaces extends Workspaces {
  def outer  // the Workspaces of the build

  TrialWorkspaces(script, Options options, Stages stages, Plugins plugins, Workspaces outer) {
    super(script, options, stages, plugins)
    this.outer = outer
  }

  def inside(String label, List values = [], Closure body) {
    def ours = ["NBCI_BUILD=${options.folder}".toString()]
    outer.inside(label, ours + values) {
      bring()
      body()
    }
  }

  /** Fetches what is to be carried out, unless it lies in this workspace already. */
  def bring() {
    // what prepares the workspace once more clears this folder, too
    if (contents.containsKey(here()) && script.fileExists(options.folder + '/plan.json')) {
      return
    }
    plugins.hidden { script.dir(options.folder) { script.deleteDir() } }
    contents[here()] = [:]
    bringPlan()
  }
}
