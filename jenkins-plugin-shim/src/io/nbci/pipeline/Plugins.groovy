package io.nbci.pipeline

/** Steps that only some controllers have. */
class Plugins implements Serializable {
  def script
  def hides = null  // whether there is the step hideFromView; null: not known yet

  Plugins(script) {
    this.script = script
  }

  /** Runs a body that takes these steps; returns false, without running it, if one is missing. */
  def whenInstalled(List steps, Closure body) {
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

  /**
   * Whether a step is installed, without calling it: the error about an unknown step names those
   * that are.
   */
  def hasStep(String name) {
    try {
      script.nbciNamesNoStepLikeThis()
    } catch (NoSuchMethodError e) {
      return "${e.message}".tokenize(' [,]').contains(name)
    }
    return false
  }

  /** Runs steps that move files; pipeline-graph-view leaves them out of its view, where it can. */
  def hidden(Closure body) {
    if (hides == null || hides) {
      this.hides = whenInstalled(['hideFromView']) { script.hideFromView { body() } }
    }
    if (!hides) {
      body()
    }
  }
}
