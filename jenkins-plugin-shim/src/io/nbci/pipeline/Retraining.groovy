package io.nbci.pipeline

/**
 * Has a model trained again whose monitor refused a window: nbci decides and writes the decision
 * down, a person is asked where it says so, and the job that trains is started with the decision.
 */
class Retraining implements Serializable {
  def script
  def options
  def build

  Retraining(Build build) {
    this.script = build.script
    this.options = build.options
    this.build = build
  }

  /** Keeps the judgements that nbci wants to act on; called where they lie. */
  def leave(Map ending) {
    for (wish in ending.retrain) {
      build.plugins.hidden {
        script.stash name: stash(wish), includes: options.folder + '/result/' + wish.because
      }
    }
  }

  /** Asks nbci about each model that is to be trained again, and does what it says. */
  def follow(Map ending) {
    // a change that is not merged yet must not retrain what is released
    if (ending == null || script.env.CHANGE_ID) {
      return
    }
    for (wish in ending.retrain) {
      followOne(wish)
    }
  }

  def followOne(Map wish) {
    def answer = null
    script.stage("retrain ${wish.model}".toString()) {
      answer = decide(wish, options.job ? '--hand-over' : '--plan', [])
      tell(answer)
    }
    if (!options.job) {
      return
    }
    if (answer.start == 'ask') {
      answer = askPerson(wish, answer)
    }
    if (answer.start == 'yes') {
      script.stage("train ${wish.model} again".toString()) { start(answer) }
    }
  }

  /** What nbci answers, where its agent vanishes, on another one. */
  def decide(Map wish, String how, List values) {
    def answer = null
    // one that was pushed before its agent vanished is there, and nbci does not decide twice
    script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) {
      answer = decideOnAgent(wish, how, values)
    }
    return answer
  }

  /** `start` of the answer is yes, no or ask; its other lines are for people and for the job. */
  def decideOnAgent(Map wish, String how, List values) {
    def answer = null
    def own = [
      "NBCI_MODEL=${wish.model}".toString(),
      "NBCI_BECAUSE=${options.folder}/result/${wish.because}".toString(),
    ]
    // where the log lies, the build that watches has been told: new data may come from there
    def known = new Planning(build).parameterValues()
    build.workspaces.inside(options.label, known + own + values) {
      build.plugins.hidden { script.unstash stash(wish) }
      def command = '"$NBCI_COMMAND" retrain "$NBCI_MODEL" --because "$NBCI_BECAUSE" ' + how +
        ' --if-wanted --format jenkins > "$NBCI_BUILD/retrain.txt"'
      def status = script.sh(script: command, returnStatus: true, label: 'nbci retrain')
      // 3: so many came to nothing that nbci asks for a person, and its answer says so
      if (status != 0 && status != 3) {
        script.error "nbci retrain ended with exit code ${status}: ${ExitCodes.meaning(status)}"
      }
      answer = readAnswer(options.folder + '/retrain.txt')
    }
    return answer
  }

  def readAnswer(String file) {
    def answer = [params: []]
    for (fields in new TabbedFile(script).read(file, 'nbci-retrain 1')) {
      if (fields[0] == 'param') {
        answer.params << [name: fields[1], value: fields[2]]
      } else {
        answer[fields[0]] = fields[1]
      }
    }
    return answer
  }

  /** Says in the log and beside the build what was decided. */
  def tell(Map answer) {
    new Report(script).describe(answer.sentence)
    script.echo "${answer.because}"
    if (answer.gives_up) {
      script.unstable answer.sentence
    }
  }

  /** Lets a person decide, without holding an agent; whoever says no is written down, too. */
  def askPerson(Map wish, Map answer) {
    def said = null
    script.stage("ask about ${wish.model}".toString()) {
      // until then the decision waits; the next window's build asks again
      script.timeout(time: options.askFor, unit: 'HOURS') {
        said = script.input(
          message: "Train ${wish.model} again? ${answer.because}".toString(), ok: 'Answer',
          submitterParameter: 'by',
          parameters: [
            script.choice(name: 'answer', choices: ['Train again', 'Leave it'], description: answer.cost),
          ])
      }
    }
    def by = "${said.by ?: 'somebody'}".toString()
    def how = '--yes --hand-over'
    if (said.answer != 'Train again') {
      how = '--refuse "$NBCI_WHY"'
    }
    def values = ["NBCI_WHY=${by} said no in Jenkins".toString(), "GIT_COMMITTER_NAME=${by}".toString()]
    def decided = null
    script.stage("decide on ${wish.model}".toString()) {
      decided = decide(wish, how, values)
      tell(decided)
    }
    return decided
  }

  /** Starts the job that trains; it is given the decision, by which its run says why it is there. */
  def start(Map answer) {
    def parameters = [script.string(name: 'NBCI_DECISION', value: answer.decision)]
    for (param in answer.params) {
      parameters << script.string(name: param.name, value: param.value)
    }
    script.build job: options.job, parameters: parameters, wait: false
  }

  def stash(Map wish) {
    return "${options.stash}-because-${wish.model.replaceAll('[^A-Za-z0-9.]+', '-')}".toString()
  }
}
