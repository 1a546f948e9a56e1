package io.nbci.pipeline

/** A stage of the plan, and what has become of it in this build so far. */
class PlannedStage implements Serializable {
  int number
  String name
  String label
  def needs = []          // numbers of the stages whose results it reads
  def timeout = null      // in seconds
  int attempts = 1        // on how many agents it is tried when they vanish
  def secrets = []        // names
  String container        // an image; empty for none
  def next = []           // numbers of the stages that wait for it

  int unfinished = 0      // how many stages it still waits for
  int tries = 0
  boolean gaveUp = false  // each of its tries ended with the agent
  def resultsFrom = null  // number of the stash that holds its results; 0 is that of `nbci plan`
  String needsNoAgent     // why, where nbci found so
}
