package org.jenkinsci.plugins.workflow.steps;

/** Stands for Jenkins' exception of this name: an abort, a timeout, a sibling's failure, an agent that is gone. */
public final class FlowInterruptedException extends InterruptedException {
    private final boolean agentLost;

    public FlowInterruptedException(String message) {
        this(message, false);
    }

    public FlowInterruptedException(String message, boolean agentLost) {
        super(message);
        this.agentLost = agentLost;
    }

    /** What the condition {@code agent()} of {@code retry} asks. */
    public static boolean isLossOfAgent(Throwable failure) {
        return failure instanceof FlowInterruptedException interruption && interruption.agentLost;
    }
}
