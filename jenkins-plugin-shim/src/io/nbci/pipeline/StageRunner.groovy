package io.nbci.pipeline

/** Runs the stages, each as soon as those before it have ended. */
class StageRunner implements Serializable {
  def script
  def options
  def stages
  def build

  /** `build` is a Build, or a Trial, which has the same parts. */
  StageRunner(build) {
    this.script = build.script
    this.options = build.options
    this.stages = build.stages
    this.build = build
  }

  def runAll() {
    def ready = stages.readyAtOnce()
    // nobody waits for what this group leaves: with 2 alive it never ends before its stages
    def group = [alive: 2]
    new StepSurroundings(script, options).withinTime(stages.timeout) { runFrom(ready, group) }
  }

  /**
   * Runs what is ready, and then whatever becomes ready by it. `group` is the branches that run
   * side by side: the last of them that is alive leaves what comes next to the branch that they
   * came from, so that branches only nest as deep as there are others that still run. For the same
   * reason it is a loop: Jenkins cannot save a recursion of 500 stages.
   */
  def runFrom(List first, Map group) {
    def ready = first
    while (ready) {
      if (ready.size() > 1) {
        ready = runSideBySide(ready)
      } else {
        ready = runStage(stages.byNumber[ready[0]]) ? stages.readyAfter(ready[0]) : []
      }
      if (group.alive == 1) {
        return ready
      }
    }
    return []
  }

  /** Runs stages in branches; returns what is ready when the last of the branches has ended. */
  def runSideBySide(List numbers) {
    def group = [alive: numbers.size(), left: []]
    def branches = [failFast: !stages.keepGoing]
    for (number in numbers) {
      def mine = number  // each branch has its own; the loop's variable is shared
      branches[stages.byNumber[mine].name] = {
        group.left = runFrom([mine], group)
        group.alive = group.alive - 1
      }
    }
    script.parallel branches
    return group.left
  }

  /** Runs a stage; returns whether it passed. Throws if not, unless the pipeline keeps going. */
  def runStage(PlannedStage stage) {
    def passed = false
    script.stage(stage.name) {
      if (stage.needsNoAgent) {
        script.echo "no agent is needed: ${stage.needsNoAgent}"
        passed = true
      } else if (stages.keepGoing) {
        // an abort or a timeout is not the stage's failure, and has to end the build
        script.catchError(
          buildResult: 'FAILURE', stageResult: 'FAILURE', catchInterruptions: false
        ) {
          runOnAgents(stage)
          passed = true
        }
      } else {
        runOnAgents(stage)
        passed = true
      }
    }
    return passed
  }

  /** Runs a stage; where its agent vanishes, again, on another one if there is another. */
  def runOnAgents(PlannedStage stage) {
    try {
      script.retry(count: stage.attempts, conditions: [script.agent(), script.nonresumable()]) {
        def lost = stage.tries  // each try before this one has ended with its agent
        stage.tries = lost + 1
        runOnAgent(stage, lost)
      }
    } catch (e) {
      if (!Interruptions.isLostAgent(e)) {
        throw e
      }
      stage.gaveUp = true
      script.error "stage ${stage.name}: infrastructure, not the notebook: " +
        "its agent vanished (${e.message})"
    }
  }

  def runOnAgent(PlannedStage stage, int lost) {
    def surroundings = new StepSurroundings(script, options)
    def values = ["NBCI_STAGE=${stage.number}".toString(), "NBCI_LOST=${lost}".toString()]
    build.workspaces.inside(options.labelOf(stage), values) {
      build.results.bring(stage.needs)
      surroundings.withSecrets(stage.secrets) {
        surroundings.inContainer(stage.container) {
          // nbci sees to the timeouts of steps itself; this ends what does not even answer
          surroundings.withinTime(stage.timeout) { runHere(stage) }
        }
      }
    }
  }

  /** Runs the steps of a stage in this workspace, and keeps their results, also of a failure. */
  def runHere(PlannedStage stage) {
    def status = 1
    try {
      def command = '"$NBCI_COMMAND" step ' +
        '--plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" ' +
        '--bring "$NBCI_BUILD/left" --stage "$NBCI_STAGE" --lost-attempts "$NBCI_LOST" ' +
        '--leave "$NBCI_BUILD/left/$NBCI_STAGE"'
      def label = "nbci step: ${stage.name}".toString()
      status = script.sh(script: command, returnStatus: true, label: label)
    } catch (e) {
      try {
        build.results.leave(stage.number)
      } catch (lost) {
        script.echo "What stage ${stage.name} did so far is lost: ${lost.message}"
      }
      throw e
    }
    build.results.leave(stage.number)
    if (status != 0) {
      def meaning = ExitCodes.meaning(status)
      script.error "stage ${stage.name} ended with exit code ${status}: ${meaning}"
    }
  }
}
