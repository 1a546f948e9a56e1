import io.nbci.pipeline.Build
import io.nbci.pipeline.Monitoring
import io.nbci.pipeline.Options
import io.nbci.pipeline.Retraining

/**
 * Judges a window of data against a released model, for a job that a timer starts: by a pipeline
 * file with a monitor, or by a model and its log. See the help beside this file.
 */
def call(Map options, Closure prepare = null) {
  if (!options.pipeline == !options.model) {
    error "nbciMonitor: say what to watch, as in pipeline: 'pipelines/wine_watch.yaml' " +
      "or model: 'wine', log: '/var/log/wine'"
  }
  if (env.CHANGE_FORK) {
    currentBuild.result = 'NOT_BUILT'
    echo 'nbciMonitor: the build of a fork watches nothing'
    return
  }
  def target = options.pipeline ?: 'monitor-' + options.model
  def given = options + [target: target]
  def job = new Build(this, new Options(given, prepare ?: { checkout scm }))
  if (options.pipeline) {
    runPipeline(job)
  } else {
    new Monitoring(job).judge()
  }
  new Retraining(job).follow(job.ending)
}

def runPipeline(Build job) {
  def failure = null
  job.plan()
  try {
    job.run()
  } catch (e) {
    failure = e
  }
  job.finish(failure)
}
