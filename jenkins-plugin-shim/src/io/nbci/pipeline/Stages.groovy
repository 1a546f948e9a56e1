package io.nbci.pipeline

/** The stages that nbci planned, and which of them are ready to run. */
class Stages implements Serializable {
  def numbers = []          // in the order of the plan
  def byNumber = [:]
  def nothingToRun = null   // why, where there is nothing
  boolean keepGoing = false // whether the others go on when one fails
  def timeout = null        // of all stages together, in seconds
  // whether nbci finds stages that need no agent, which takes a shared remote
  boolean decides = false
  // what nbci said beside the stages, by the first field of its line
  def said = [:]
  def askAgain = null       // in seconds, where there are none and nbci said to ask again
  // whether what stands of the stages' results travels with the plan
  boolean haveResults = false

  /** Adds a stage that waits for those with these numbers. */
  def add(PlannedStage stage, List after) {
    numbers << stage.number
    byNumber[stage.number] = stage
    stage.unfinished = after.size()
    for (before in after) {
      byNumber[before].next << stage.number
    }
  }

  /** The stages that were given up since their agents vanished, as `nbci finish --lost` takes them. */
  def lost() {
    def found = []
    for (number in numbers) {
      def stage = byNumber[number]
      if (stage.gaveUp) {
        found << "${number}=${stage.tries}".toString()
      }
    }
    return found.join(' ')
  }

  /** The numbers of the stages that wait for no other. */
  def readyAtOnce() {
    def ready = []
    for (number in numbers) {
      if (byNumber[number].unfinished == 0) {
        ready << number
      }
    }
    return ready
  }

  /** The numbers of the stages that waited for this one alone, or for it as the last. */
  def readyAfter(int number) {
    def ready = []
    for (next in byNumber[number].next) {
      def waiting = byNumber[next]
      waiting.unfinished = waiting.unfinished - 1
      if (waiting.unfinished == 0) {
        ready << next
      }
    }
    return ready
  }
}
