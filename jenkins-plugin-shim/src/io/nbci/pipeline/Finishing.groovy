package io.nbci.pipeline

/** Gathers the results of the stages into a run of nbci, and ends the build as nbci says. */
class Finishing implements Serializable {
  def script
  def options
  def stages
  def build

  Finishing(Build build) {
    this.script = build.script
    this.options = build.options
    this.stages = build.stages
    this.build = build
  }

  def finish(Throwable failure) {
    try {
      // of several objectives no trial is the best: what came of the sweep is all there is
      if (!options.sweep || stages.numbers) {
        endBuild(failure)
      } else if (failure != null) {
        throw failure
      }
    } finally {
      // last: a large variable is of no use to any process of this build
      build.rememberSweep()
    }
  }

  def endBuild(Throwable failure) {
    def report = new Report(script)
    if (stages.nothingToRun) {
      build.rememberData()
      script.currentBuild.result = 'NOT_BUILT'
      report.describe(stages.nothingToRun)
      return
    }
    def interrupted = failure != null && Interruptions.isInterruption(failure)
    def stoppedBy = ''
    if (interrupted) {
      stoppedBy = "${failure.message ?: 'it was aborted'}".toString()
    }
    def ending = null
    try {
      script.stage('finish') {
        script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) {
          ending = gather(report, stoppedBy)
        }
        if (ending.result == 'unstable') {
          script.unstable ending.message
        }
      }
    } catch (e) {
      if (failure == null) {
        throw e
      }
      script.echo "The report could not be made: ${e.message}"
      throw failure
    }
    // an abort stays an abort; else nbci's words say more than the exception that ended the stages
    if (interrupted) {
      throw failure
    }
    if (ending.result == 'failure') {
      script.error ending.message
    }
    if (failure != null) {
      throw failure
    }
    def released = ending
    if (provesRun(ending)) {
      released = new Proving(build).prove(ending.run)
    }
    new Deploying(build).deploy(released)
  }

  /** Whether the run is carried out once more; not that of a fork, and not one that did not pass. */
  def provesRun(Map ending) {
    return options.prove && ending.result == 'success' && ending.run && !script.env.CHANGE_FORK
  }

  /** Runs `nbci finish` on an agent and publishes its report; returns how the build is to end. */
  def gather(Report report, String stoppedBy) {
    def ending = null
    build.workspaces.inside(options.label, valuesFor(report, stoppedBy)) {
      build.results.bring(stages.numbers)
      def command = '"$NBCI_COMMAND" finish ' +
        '--plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" ' +
        '--bring "$NBCI_BUILD/left" --out "$NBCI_BUILD/result" ' +
        '${NBCI_STOPPED:+--stopped-by "$NBCI_STOPPED"} ${NBCI_LOST:+--lost $NBCI_LOST}'
      // with a proof, what is promoted has been proved
      if (options.promote && !options.prove) {
        command += ' --promote ${NBCI_PROMOTE:+"$NBCI_PROMOTE"}'
      }
      def status = script.sh(script: command, returnStatus: true, label: 'nbci finish')
      ending = report.publish(options.folder + '/result', options.reportName, status)
      build.ending = ending
      if (ending.fromNbci) {
        build.rememberData()
      }
      comment()
      new Retraining(build).leave(ending)
      if (provesRun(ending)) {
        new Proving(build).leave(ending.run)
      }
    }
    return ending
  }

  /** What the script of `nbci finish` reads: values never stand in its text. */
  def valuesFor(Report report, String stoppedBy) {
    def promote = options.promote instanceof CharSequence ? options.promote.toString() : ''
    def address = ''
    if (script.env.BUILD_URL) {
      def path = report.pathInBuild(options.reportName, options.folder + '/result')
      address = "${script.env.BUILD_URL}${path}"
    }
    return [
      "NBCI_PROMOTE=${promote}".toString(),
      "NBCI_REPORT_URL=${address}".toString(),
      "NBCI_STOPPED=${stoppedBy}".toString(),
      "NBCI_LOST=${stages.lost()}".toString(),
    ]
  }

  /** Comments on the pull request; not on one from a fork, whose code would see the token. */
  def comment() {
    if (!options.comment || !script.env.CHANGE_ID || script.env.CHANGE_FORK) {
      return
    }
    def surroundings = new StepSurroundings(script, options)
    def token = surroundings.bindingOf('NBCI_FORGE_TOKEN', options.comment)
    try {
      script.withCredentials([token]) {
        script.sh(script: '"$NBCI_COMMAND" comment', label: 'nbci comment')
      }
    } catch (e) {
      if (Interruptions.isInterruption(e)) {
        throw e
      }
      script.echo "The pull request has no comment of this build: ${e.message}"
    }
  }
}
