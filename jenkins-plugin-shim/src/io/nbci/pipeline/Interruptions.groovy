package io.nbci.pipeline

/** Tells the exceptions apart by which Jenkins ends a step from outside. */
class Interruptions implements Serializable {
  /** Whether an exception is an abort, a timeout, or the end of a sibling. */
  static boolean isInterruption(Throwable failure) {
    // the sandbox allows to ask for the name of a class
    return failure.getClass().name.endsWith('FlowInterruptedException')
  }

  /**
   * Whether an exception is the end of an agent, which to Jenkins is one more interruption. The
   * texts are those of
   * https://github.com/jenkinsci/workflow-durable-task-step-plugin/blob/master/src/main/java/org/jenkinsci/plugins/workflow/support/steps/ExecutorStepExecution.java
   */
  static boolean isLostAgent(Throwable failure) {
    if (failure.getClass().name.endsWith('AgentOfflineException')) {
      return true
    }
    def message = "${failure.message}".toString()
    return isInterruption(failure) && (
      message.contains('Timeout waiting for agent to come back') ||
      message.contains('Agent was removed'))
  }
}
