import io.nbci.pipeline.Build
import io.nbci.pipeline.Options
import io.nbci.pipeline.Report

/**
 * nbci's pipelines as stages of this build, to compose by hand; nbciPipeline is the three of them
 * in a row. What they do is in the classes of src/io/nbci/pipeline.
 */

/** Asks nbci for the stages. The answer is what `run` and `finish` take. */
def plan(Map options, Closure prepare = null) {
  if (!options.target) {
    error "nbci: say what to run, as in target: 'pipelines/digits.yaml'"
  }
  def build = new Build(this, new Options(options, prepare))
  build.plan()
  return build
}

/** Runs the stages, each on an agent of its label, the moment those before it are done. */
def run(Build build) {
  build.run()
}

/** Gathers and publishes the results, and ends the build; `failure` is what `run` threw. */
def finish(Build build, Throwable failure = null) {
  build.finish(failure)
}

/** Publishes the results in a folder of this workspace, of a run that ended with this exit code. */
def publish(String folder, String reportName, int status) {
  return new Report(this).publish(folder, reportName, status)
}
