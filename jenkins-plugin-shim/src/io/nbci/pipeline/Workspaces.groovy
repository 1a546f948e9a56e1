package io.nbci.pipeline

/** The workspaces that this build has on agents, and what lies in them. */
class Workspaces implements Serializable {
  def script
  def options
  def stages
  def plugins
  def contents = [:]  // node and workspace -> the numbers of the stashes that lie there

  Workspaces(script, Options options, Stages stages, Plugins plugins) {
    this.script = script
    this.options = options
    this.stages = stages
    this.plugins = plugins
  }

  /**
   * Runs a body on an agent, in a workspace that is ready: the sources and the plan are there, and
   * nothing of another build.
   *
   * Each step more that a stage takes costs Jenkins some hundredths of a second, and a save of the
   * whole build: hence few.
   */
  def inside(String label, List values = [], Closure body) {
    script.node(label) {
      if (!contents.containsKey(here()) || mark() != buildTag()) {
        prepare()
      }
      if (stages.numbers && !contents[here()].plan) {
        bringPlan()
      } else if (script.env.CHANGE_FORK && stages.numbers) {
        // the code of a fork has run beside the plan, and the gates are in it
        plugins.hidden { script.unstash options.stash }
      }
      def ours = [
        "NBCI_COMMAND=${options.command}".toString(),
        "NBCI_BUILD=${options.folder}".toString(),
      ]
      script.withEnv(ours + values) { body() }
    }
  }

  /** Checks out the sources by the caller's closure. */
  def prepare() {
    if (script.env.CHANGE_FORK) {
      // what the code of a fork has left here, such as hooks of git, is not for its next build
      script.deleteDir()
    }
    if (options.prepare) {
      def prepareWorkspace = options.prepare
      prepareWorkspace()
    }
    plugins.hidden {
      script.dir(options.folder) { script.deleteDir() }
      script.writeFile file: markFile(), text: buildTag()
    }
    contents[here()] = [:]
  }

  /** Fetches the plan, with what stands of its results where these travel with it. */
  def bringPlan() {
    plugins.hidden { script.unstash options.stash }
    contents[here()].plan = true
    if (stages.haveResults) {
      contents[here()][0] = true
    }
  }

  /** The name of this workspace: agents may share a path. */
  def here() {
    return "${script.env.NODE_NAME} ${script.env.WORKSPACE}".toString()
  }

  def buildTag() {
    return "${script.env.BUILD_TAG}".toString()
  }

  def markFile() {
    return options.folder + '/mark'
  }

  /** The tag of the build that prepared this workspace; null when it was cleared since. */
  def mark() {
    try {
      return script.readFile(markFile())
    } catch (IOException e) {
      return null
    }
  }
}
