package io.nbci.pipeline

/** Brings what was released to the places that the pipeline file names, one after another. */
class Deploying implements Serializable {
  def script
  def options
  def build

  Deploying(Build build) {
    this.script = build.script
    this.options = build.options
    this.build = build
  }

  /** Carries out what nbci wants deployed; not from the build of a fork, which releases nothing. */
  def deploy(Map ending) {
    if (options.deploy == false || script.env.CHANGE_FORK) {
      return
    }
    for (wish in ending.deploy) {
      script.stage("deploy ${wish.place}".toString()) { deployOne(wish) }
    }
  }

  /** The version before is back where the new one did not hold what its place asks for. */
  def deployOne(Map wish) {
    def label = (options.labels[wish.label] ?: wish.label ?: options.label).toString()
    new Labels(script, options, build.plugins).refuseUnknown([label])
    def values = ["NBCI_RELEASE=${wish.release}".toString(), "NBCI_PLACE=${wish.place}".toString()]
    def status = 4
    // git or the place may have been away for a moment
    for (int i = 0; i < 2 && status == 4; i++) {
      // what an agent that vanished has deployed by half, nbci takes up again on another
      script.retry(count: 2, conditions: [script.agent(), script.nonresumable()]) {
        status = deployOnAgent(label, values)
      }
    }
    if (status == 3) {
      script.unstable "${wish.release} was not kept at ${wish.place}: a smoke check refused it"
    } else if (status != 0) {
      script.error "nbci deploy ended with exit code ${status}: ${ExitCodes.meaning(status)}"
    }
  }

  /** The exit code of `nbci deploy`. */
  def deployOnAgent(String label, List values) {
    def status = null
    build.workspaces.inside(label, values) {
      new StepSurroundings(script, options).withSecrets(['NBCI_SERVE_TOKEN']) {
        status = script.sh(
          script: '"$NBCI_COMMAND" deploy "$NBCI_RELEASE" "$NBCI_PLACE" --after-promotion',
          returnStatus: true, label: 'nbci deploy')
      }
    }
    return status
  }
}
