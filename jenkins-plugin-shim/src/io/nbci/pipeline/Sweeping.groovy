package io.nbci.pipeline

/**
 * A sweep whose trials run on agents, as many at once as there are workers. Each worker asks nbci
 * what to carry out, has that done, tells what came of it, and asks again. What nbci knows of the
 * sweep lies in one folder, which travels from one call to the next; so one worker asks at a time.
 */
class Sweeping implements Serializable {
  def script
  def options
  def build
  boolean asking = false  // whether some worker asks just now
  int told = 0            // how often something was told, or handed out
  boolean stopping = false  // whether some worker was stopped, or failed
  boolean begun = false   // whether the sweep's folder is stashed

  Sweeping(Build build) {
    this.script = build.script
    this.options = build.options
    this.build = build
  }

  /** Carries the sweep out; the stages of the build are then those of its best trial. */
  def search(Labels labels) {
    def branches = [failFast: true]
    for (int i = 1; i <= options.parallel; i++) {
      def worker = "${i}".toString()
      branches["worker ${worker}".toString()] = { work(worker, labels) }
    }
    try {
      script.parallel branches
    } catch (e) {
      if (begun) {
        keep()
      }
      throw e
    }
    script.stage('best') { onAgents { end('') } }
  }

  /** Does something that needs an agent; where that vanishes, once more. */
  def onAgents(Closure body) {
    script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) { body() }
  }

  /** Keeps what there is of a sweep that was stopped, for the next build. */
  def keep() {
    try {
      script.stage('sweep') { onAgents { end('yes') } }
      remember()
    } catch (e) {
      script.echo "The sweep could not be kept: ${e.message}"
    }
  }

  def work(String worker, Labels labels) {
    try {
      carryOutTrials(worker, labels)
    } catch (e) {
      // by this the others end, too: what interrupts them is lost where it meets one between steps
      this.stopping = true
      throw e
    }
  }

  def carryOutTrials(String worker, Labels labels) {
    def trial = ask(worker, null)
    while (trial != null && !trial.stages.said.over) {
      if (trial.stages.said.wait) {
        waitForOthers(trial)
        trial = ask(worker, null)
      } else {
        labels.refuseUnknown(labels.of(trial.stages))
        trial.carryOut()
        trial = ask(worker, trial)
      }
    }
  }

  /** Asks nbci for the next trial, when no other worker does, and tells what came of the last. */
  def ask(String worker, Trial done) {
    def trial = null
    if (stopping && done == null) {
      return null
    }
    script.waitUntil(initialRecurrencePeriod: 250, quiet: true) { takeTurn() }
    try {
      onAgents { trial = askOnAgent(worker, done) }
      // also where nothing was told, trials may have ended, of which all was known
      if (done != null || !trial?.stages?.said?.wait) {
        this.told = told + 1
      }
      if (trial != null) {
        trial.told = told
      }
    } finally {
      this.asking = false
    }
    return trial
  }

  /** Whether the turn is taken. No step comes between: no other worker can take it meanwhile. */
  def takeTurn() {
    if (asking) {
      return false
    }
    this.asking = true
    return true
  }

  /** Waits until another worker has told something, or as long as nbci said. */
  def waitForOthers(Trial trial) {
    def until = System.currentTimeMillis() + (trial.stages.askAgain ?: Integer.MAX_VALUE) * 1000L
    script.waitUntil(initialRecurrencePeriod: 1000, quiet: true) {
      stopping || told != trial.told || System.currentTimeMillis() > until
    }
  }

  /** The next trial; null where all is being stopped, so that what has ended is told only. */
  def askOnAgent(String worker, Trial done) {
    def trial = new Trial(build, ofWorker(worker))
    def values = sweepValues() + [
      "NBCI_WORKER=${worker}".toString(),
      "NBCI_OWN=${trial.options.folder}".toString(),
    ]
    build.workspaces.inside(options.label, values) {
      bringState()
      if (done != null && !done.isTold) {
        tell(done)
      }
      if (stopping) {
        trial = null
      } else {
        next(trial)
      }
      // last: where the agent vanishes before, all of this is done once more
      leaveState()
    }
    return trial
  }

  /** Tells nbci what came of what it gave a worker. */
  def tell(Trial done) {
    done.workspaces.bring()
    done.results.bring(done.stages.numbers)
    def values = ["NBCI_STOPPED=${done.stoppedBy}", "NBCI_LOST=${done.stages.lost()}"]
    script.withEnv([values[0].toString(), values[1].toString()]) {
      def command = '"$NBCI_COMMAND" sweep tell ' +
        '--state "$NBCI_BUILD/sweep" --worker "$NBCI_WORKER" --store "$NBCI_OWN/store" ' +
        '--bring "$NBCI_OWN/left" ${NBCI_STOPPED:+--stopped-by "$NBCI_STOPPED"} ' +
        '${NBCI_LOST:+--lost $NBCI_LOST}'
      def status = script.sh(script: command, returnStatus: true, label: 'nbci sweep tell')
      // at once: whatever comes now, what it has told counts
      leaveState()
      done.isTold = true
      if (status != 0) {
        script.error "nbci sweep tell ended with exit code ${status}: ${ExitCodes.meaning(status)}"
      }
    }
  }

  /** Asks nbci what to carry out; `trial` then has its stages. */
  def next(Trial trial) {
    def own = trial.options.folder
    def planning = new Planning(trial)
    build.plugins.hidden { script.dir(own) { script.deleteDir() } }
    if (!begun) {
      script.writeFile file: options.folder + '/before', text: lastStudy()
    }
    script.withEnv(planning.parameterValues()) {
      def command = 'mkdir -p "$NBCI_OWN" && "$NBCI_COMMAND" sweep next "$NBCI_TARGET" ' +
        '${NBCI_NAME:+"$NBCI_NAME"} --parallel "$NBCI_PARALLEL" --state "$NBCI_BUILD/sweep" ' +
        '--worker "$NBCI_WORKER" --before "$NBCI_BUILD/before" --store "$NBCI_OWN/store" ' +
        '--out "$NBCI_OWN/plan.json" --leave "$NBCI_OWN/left/0" > "$NBCI_OWN/stages.txt"'
      def status = script.sh(script: command, returnStatus: true, label: 'nbci sweep next')
      if (status != 0) {
        def meaning = ExitCodes.meaning(status)
        def error = planning.planError()
        script.error "nbci sweep next ended with exit code ${status}: ${meaning}${error}"
      }
    }
    planning.readStages()
    if (trial.stages.numbers) {
      leavePlan(trial)
    }
  }

  /** Ends the sweep, and has its best trial planned as a run of the whole pipeline. */
  def end(String stopped) {
    def planning = new Planning(build)
    def values = sweepValues() + ["NBCI_STOPPED=${stopped}".toString()]
    build.workspaces.inside(options.label, values + planning.parameterValues()) {
      bringState()
      def command = '"$NBCI_COMMAND" sweep end --state "$NBCI_BUILD/sweep" ' +
        '--store "$NBCI_BUILD/store" --out "$NBCI_BUILD/plan.json" ' +
        '--leave "$NBCI_BUILD/left/0" --results "$NBCI_BUILD/sweep" ' +
        '--carry "$NBCI_BUILD/study.txt" ${NBCI_STOPPED:+--stopped} > "$NBCI_BUILD/stages.txt"'
      def status = script.sh(script: command, returnStatus: true, label: 'nbci sweep end')
      publish()
      if (script.fileExists(options.folder + '/study.txt')) {
        build.study = script.readFile(options.folder + '/study.txt')
      }
      // not twice, where this is done once more on another agent
      if (!build.stages.numbers) {
        planning.readStages()
      }
      if (build.stages.said.description) {
        new Report(script).describe(build.stages.said.description)
      }
      if (status != 0) {
        remember()
        def meaning = ExitCodes.meaning(status)
        def error = planning.planError()
        script.error "nbci sweep end ended with exit code ${status}: ${meaning}${error}"
      }
      if (build.stages.numbers) {
        leavePlan(build)
        if (options.lint) {
          planning.lint()
        }
      }
    }
  }

  /** Publishes what came of the sweep: its files, and its pages where the plugin is there. */
  def publish() {
    script.archiveArtifacts(
      artifacts: "${state()}/*,${state()}/report/**".toString(),
      excludes: '**/.lock,**/build.json,**/unkept.txt', allowEmptyArchive: true)
    if (script.fileExists(state() + '/report')) {
      build.plugins.whenInstalled(['publishHTML']) {
        script.publishHTML(
          reportDir: state() + '/report', reportFiles: 'index.html', reportName: pageName(),
          keepAll: true, allowMissing: true, alwaysLinkToLastBuild: true)
      }
    }
  }

  def pageName() {
    return (options.sweep instanceof CharSequence ? "Sweep ${options.sweep}" : 'Sweep').toString()
  }

  /** Stashes a plan with what stands of its results, and notes what needs no agent for that. */
  def leavePlan(planned) {
    def folder = planned.options.folder
    build.plugins.hidden {
      script.stash(
        name: planned.options.stash, includes: "${folder}/plan.json,${folder}/left/0/**".toString())
    }
    planned.stages.haveResults = true
    planned.workspaces.contents[build.workspaces.here()] = [plan: true, 0: true]
    def decided = folder + '/left/0/decided.txt'
    planned.stages.decides = script.fileExists(decided)
    if (planned.stages.decides) {
      planned.results.readDecided(0, decided)
    }
  }

  /** The options of the build, with a folder and stashes that a worker has for itself. */
  def ofWorker(String worker) {
    def own = new Options(options.given, options.prepare)
    own.folder = "${options.folder}/worker-${worker}".toString()
    own.stash = "${options.stash}-worker-${worker}".toString()
    return own
  }

  def sweepValues() {
    def name = options.sweep instanceof CharSequence ? options.sweep.toString() : ''
    return [
      "NBCI_TARGET=${options.target}".toString(),
      "NBCI_NAME=${name}".toString(),
      "NBCI_PARALLEL=${options.parallel}".toString(),
    ]
  }

  def bringState() {
    build.plugins.hidden {
      script.dir(state()) { script.deleteDir() }
      if (begun) {
        script.unstash "${options.stash}-state"
      }
    }
  }

  /** Keeps what nbci knows of the sweep; the runs of trials are among the artifacts. */
  def leaveState() {
    build.plugins.hidden {
      if (script.fileExists(state() + '/runs')) {
        script.archiveArtifacts artifacts: state() + '/runs/**', excludes: '**/.lock'
        script.dir(state() + '/runs') { script.deleteDir() }
      }
      script.stash name: "${options.stash}-state", includes: state() + '/**'
    }
    this.begun = true
  }

  def state() {
    return options.folder + '/sweep'
  }

  /** What an earlier build of this job kept of the sweep; empty where none did. */
  def lastStudy() {
    def name = variable()
    def earlier = script.currentBuild.previousBuild
    for (int i = 0; i < 20 && earlier != null; i++) {
      def kept = earlier.buildVariables[name]
      if (kept) {
        return kept.toString()
      }
      earlier = earlier.previousBuild
    }
    return ''
  }

  /** Keeps the sweep with this build, where a later one finds it. */
  def remember() {
    if (build.study) {
      script.env.setProperty(variable(), build.study)
    }
  }

  /** The name of the variable that keeps the sweep. */
  def variable() {
    return ('NBCI_STUDY_' + options.stash.replaceAll('[^A-Za-z0-9]+', '_')).toString()
  }
}
