package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Outcome;
import groovy.lang.Closure;
import hudson.AbortException;
import io.nbci.jenkins.State.Branch;
import io.nbci.jenkins.State.Context;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** Steps that have a body. */
final class Blocks {
    private Blocks() {}

    /** Steps that wait for something that others have. */
    interface Waiting {}

    /** Steps that run their body once, in a context made for it. */
    private abstract static class Wrapper extends Step {
        private static final long serialVersionUID = 1;

        @Override
        void start(Engine engine, Branch branch) throws Exception {
            engine.body(branch, arguments.body, context(engine, branch.context));
        }

        abstract Context context(Engine engine, Context outer) throws Exception;
    }

    static final class Stage extends Wrapper {
        private static final long serialVersionUID = 1;
        private int number;

        @Override
        Context context(Engine engine, Context outer) {
            String title = arguments.text("name");
            if (title.isBlank()) {
                throw new IllegalArgumentException("Stage name must be a non-null, non-empty value");
            }
            number = engine.state.stages.size();
            engine.state.stages.add(new State.StageRun(title));
            return outer.inStage(number).with("STAGE_NAME", title);
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            if (outcome.isFailure()) {
                State.StageRun stage = engine.state.stages.get(number);
                String result = outcome.getAbnormal() instanceof FlowInterruptedException ? "ABORTED" : "FAILURE";
                stage.result = State.worse(stage.result, result);
            }
            end(engine, branch, outcome);
        }
    }

    static final class WithEnv extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) {
            Map<String, String> values = new LinkedHashMap<>();
            for (Object override : arguments.list("overrides")) {
                String text = (String) override;
                int at = text.indexOf('=');
                if (at < 0) {
                    throw new IllegalArgumentException(text);
                }
                values.put(text.substring(0, at), text.substring(at + 1));
            }
            return outer.with(values);
        }
    }

    static final class Dir extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) {
            return outer.in(Instants.folder(outer).resolve(arguments.text("path")));
        }
    }

    /** Changes what is seen of its body, and nothing else. */
    static final class Hidden extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) {
            return outer;
        }
    }

    static final class InContainer extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) {
            Instants.folder(outer);
            return outer.with("IN_CONTAINER", arguments.text("image"));
        }
    }

    static final class WithCredentials extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) throws AbortException {
            Map<String, String> values = new LinkedHashMap<>();
            for (Object binding : arguments.list("bindings")) {
                Map<?, ?> described = (Map<?, ?>) binding;
                Object id = described.get("credentialsId");
                String secret = engine.jenkins.credentials.get(id);
                if (secret == null) {
                    throw new AbortException("Could not find credentials entry with ID '" + id + "'");
                }
                values.put(String.valueOf(described.get("variable")), secret);
            }
            return outer.with(values);
        }
    }

    static final class CatchError extends Wrapper {
        private static final long serialVersionUID = 1;

        @Override
        Context context(Engine engine, Context outer) {
            return outer;
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            Throwable failure = outcome.getAbnormal();
            boolean interrupted = failure instanceof FlowInterruptedException;
            if (failure == null || interrupted && !arguments.flag("catchInterruptions", true)) {
                end(engine, branch, outcome);
                return;
            }
            engine.jenkins.log(branch.context, "ERROR: " + failure.getMessage());
            String otherwise = interrupted ? "ABORTED" : "FAILURE";
            engine.state.worsen(result("buildResult", otherwise));
            Instants.markStage(engine, branch.context, result("stageResult", "SUCCESS"));
            end(engine, branch, new Outcome(null, null));
        }

        private String result(String argument, String otherwise) {
            return arguments.named.containsKey(argument) ? arguments.text(argument) : otherwise;
        }
    }

    /** With conditions, only losses of agents are tried again: no other condition is known here. */
    static final class Retry extends Step {
        private static final long serialVersionUID = 1;
        private int left;

        @Override
        void start(Engine engine, Branch branch) {
            left = arguments.number("count");
            engine.body(branch, arguments.body, branch.context);
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            Throwable failure = outcome.getAbnormal();
            boolean again = arguments.named.containsKey("conditions")
                    ? FlowInterruptedException.isLossOfAgent(failure)
                    : !(failure instanceof FlowInterruptedException);
            if (failure != null && again && --left > 0) {
                engine.jenkins.log(branch.context, "ERROR: " + failure.getMessage());
                engine.jenkins.log(branch.context, "Retrying");
                engine.body(branch, arguments.body, branch.context);
            } else {
                end(engine, branch, outcome);
            }
        }
    }

    /** Runs its body again and again, until that gives true. */
    static final class WaitUntil extends Step {
        private static final long serialVersionUID = 1;

        @Override
        void start(Engine engine, Branch branch) {
            engine.body(branch, arguments.body, branch.context);
        }

        @Override
        void wake(Engine engine, Branch branch) {
            engine.body(branch, arguments.body, branch.context);
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            if (outcome.isFailure() || Boolean.TRUE.equals(outcome.getNormal())) {
                end(engine, branch, outcome);
            } else {
                engine.wakeIn(branch, 10);
            }
        }
    }

    static final class Timeout extends Step {
        private static final long serialVersionUID = 1;
        private long until;
        private int child;

        @Override
        void start(Engine engine, Branch branch) {
            String unit = arguments.named.containsKey("unit") ? arguments.text("unit") : "MINUTES";
            long span = TimeUnit.valueOf(unit).toMillis(arguments.number("time"));
            until = System.currentTimeMillis() + span;
            child = engine.body(branch, arguments.body, branch.context);
            engine.wakeIn(branch, span);
        }

        @Override
        void wake(Engine engine, Branch branch) {
            if (System.currentTimeMillis() >= until && !ended) {
                engine.jenkins.log(branch.context, "Cancelling nested steps due to timeout");
                engine.interrupt(child, new FlowInterruptedException("Timeout has been exceeded"));
            }
        }
    }

    /** Waits for an executor of an agent that carries the label; its workspace belongs to that executor. */
    static final class Node extends Step implements Waiting {
        private static final long serialVersionUID = 1;
        private String executor;
        private boolean told;

        @Override
        void start(Engine engine, Branch branch) throws IOException {
            wake(engine, branch);
        }

        @Override
        void wake(Engine engine, Branch branch) throws IOException {
            String label = arguments.text("label");
            for (Jenkins.Agent agent : engine.jenkins.agents.values()) {
                for (int number = 1; executor == null && number <= agent.executors(); number++) {
                    String name = agent.name() + (number == 1 ? "" : "@" + number);
                    if (agent.carries(label)
                            && !engine.state.lostAgents.contains(agent.name())
                            && engine.state.executors.putIfAbsent(name, serial) == null) {
                        executor = name;
                        begin(engine, branch, agent);
                        return;
                    }
                }
            }
            if (!told && executor == null) {
                told = true;
                engine.jenkins.log(branch.context, "Still waiting to schedule task, label ‘" + label + "’");
            }
        }

        private void begin(Engine engine, Branch branch, Jenkins.Agent agent) throws IOException {
            Path workspace = Files.createDirectories(engine.jenkins.root.resolve("workspaces").resolve(executor));
            engine.jenkins.log(branch.context, "Running on " + agent.name() + " in " + workspace);
            engine.body(branch, arguments.body, branch.context.on(agent.name(), workspace).with(Map.of(
                    "NODE_NAME", agent.name(), "NODE_LABELS", String.join(" ", agent.labels()), "WORKSPACE", workspace.toString())));
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            engine.state.executors.remove(executor);
            engine.wakeWaiting();
            end(engine, branch, outcome);
        }
    }

    static final class Lock extends Step implements Waiting {
        private static final long serialVersionUID = 1;
        private boolean held;

        @Override
        void start(Engine engine, Branch branch) {
            wake(engine, branch);
        }

        @Override
        void wake(Engine engine, Branch branch) {
            if (!held && engine.state.locks.putIfAbsent(arguments.text("resource"), serial) == null) {
                held = true;
                engine.body(branch, arguments.body, branch.context);
            }
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            engine.state.locks.remove(arguments.text("resource"));
            engine.wakeWaiting();
            end(engine, branch, outcome);
        }
    }

    static final class Parallel extends Step {
        private static final long serialVersionUID = 1;
        private final Map<Integer, String> open = new LinkedHashMap<>();
        private final Map<String, Object> values = new LinkedHashMap<>();
        private Throwable failure;

        @Override
        void start(Engine engine, Branch branch) {
            arguments.named.forEach((title, body) -> {
                if (body instanceof Closure<?> closure) {
                    open.put(engine.body(branch, closure, branch.context.inBranch(title)), title);
                }
            });
            if (open.isEmpty()) {
                end(engine, branch, new Outcome(values, null));
            }
        }

        @Override
        void bodyEnded(Engine engine, Branch branch, int child, Outcome outcome) {
            String title = open.remove(child);
            if (outcome.isSuccess()) {
                values.put(title, outcome.getNormal());
            } else {
                engine.jenkins.log(branch.context, "Failed in branch " + title);
                if (failure == null) {
                    failure = outcome.getAbnormal();
                    if (arguments.flag("failFast")) {
                        List<Integer> others = new ArrayList<>(open.keySet());
                        others.forEach(other -> engine.interrupt(other, new FlowInterruptedException("Failed in branch " + title)));
                    }
                }
            }
            if (open.isEmpty()) {
                end(engine, branch, failure == null ? new Outcome(values, null) : new Outcome(null, failure));
            }
        }
    }
}
