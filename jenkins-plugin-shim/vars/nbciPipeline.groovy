/**
 * Runs a notebook or a pipeline file as this build. The body prepares a workspace: it checks out
 * the sources, and sees that nbci is there. See the help beside this file, and nbci.groovy for the
 * parts.
 */
def call(Map options, Closure prepare = null) {
  def job = nbci.plan(options, prepare)
  def failure = null
  try {
    nbci.run(job)
  } catch (e) {
    failure = e
  }
  nbci.finish(job, failure)
}
