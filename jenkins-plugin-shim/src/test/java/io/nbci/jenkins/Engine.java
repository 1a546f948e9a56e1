package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Continuable;
import com.cloudbees.groovy.cps.Continuation;
import com.cloudbees.groovy.cps.Envs;
import com.cloudbees.groovy.cps.ObjectInputStreamWithLoader;
import com.cloudbees.groovy.cps.Outcome;
import com.cloudbees.groovy.cps.impl.CpsCallableInvocation;
import groovy.lang.Closure;
import groovy.lang.Script;
import io.nbci.jenkins.State.Branch;
import io.nbci.jenkins.State.Context;
import io.nbci.jenkins.State.Event;
import io.nbci.jenkins.State.Kind;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/**
 * Runs one build on one thread, an event after the other, as Jenkins does. Processes and timers go on beside it and only
 * wake steps, so that between two events the whole build can be written down, and carried on from there.
 */
@SuppressWarnings("rawtypes")
final class Engine {
    private static final List<Class> CATEGORIES = new ArrayList<>(Continuable.categories);
    private static final ScheduledExecutorService TIMERS = Executors.newScheduledThreadPool(1, work -> {
        Thread thread = new Thread(work, "timers");
        thread.setDaemon(true);
        return thread;
    });

    static {
        CATEGORIES.add(SerializableIterators.class);
    }

    /** The engine whose build runs a piece of script at this moment. */
    private static Engine current;

    final Jenkins jenkins;
    final Library library;
    State state = new State();
    private Branch running;
    private final BlockingQueue<Event> woken = new LinkedBlockingQueue<>();
    private int handled;

    Engine(Jenkins jenkins, Library library) {
        this.jenkins = jenkins;
        this.library = library;
    }

    static Engine current() {
        return current;
    }

    Context context() {
        return running.context;
    }

    // ---- the loop

    void begin(Script script) {
        Branch main = new Branch();
        main.id = state.next();
        main.context = new Context(null, null, null, -1, "", Map.of());
        main.program = new Continuable(script);
        state.branches.put(main.id, main);
        post(new Event(Kind.START, main.id, 0, 0, null));
    }

    /** Runs until the build is over; fails when nothing has happened for too long. */
    void loop() throws Exception {
        long quiet = System.nanoTime();
        while (!state.over) {
            jenkins.betweenEvents(this);
            Event event = state.events.poll();
            if (event == null) {
                event = woken.poll(20, TimeUnit.MILLISECONDS);
            }
            if (event != null) {
                quiet = System.nanoTime();
                handle(event);
                handled++;
                if (jenkins.restartEvery > 0 && handled % jenkins.restartEvery == 0) {
                    restart();
                }
            } else if (System.nanoTime() - quiet > jenkins.patience.toNanos()) {
                throw new AssertionError("nothing happens any more:\n" + String.join("\n", jenkins.log()));
            }
        }
    }

    private void handle(Event event) {
        Branch branch = state.branches.get(event.branch());
        if (branch == null) {
            return;
        }
        if (event.kind() == Kind.START) {
            run(branch, new Outcome(null, null));
            return;
        }
        Step step = branch.step;
        if (step == null || step.serial != event.step()) {
            return;
        }
        try {
            switch (event.kind()) {
                case WAKE -> step.wake(this, branch);
                case BODY_ENDED -> step.bodyEnded(this, branch, event.child(), event.outcome());
                default -> run(branch, event.outcome());
            }
        } catch (Exception failure) {
            step.end(this, branch, new Outcome(null, failure));
        }
    }

    /** Lets a branch run to its next step, or to its end. */
    private void run(Branch branch, Outcome given) {
        current = this;
        running = branch;
        branch.step = null;
        Outcome outcome;
        try {
            if (branch.program == null) {
                branch.program = program(branch.body);
                branch.body = null;
            }
            outcome = branch.program.run0(given, CATEGORIES);
        } finally {
            running = null;
        }
        if (!branch.program.isResumable()) {
            ended(branch, outcome);
            return;
        }
        Step step = (Step) outcome.getNormal();
        step.serial = state.next();
        branch.step = step;
        try {
            step.start(this, branch);
        } catch (Exception failure) {
            step.end(this, branch, new Outcome(null, failure));
        }
    }

    private static Continuable program(Closure<?> body) {
        try {
            Object value = body.call();
            throw new IllegalStateException("a body that is no CPS code gave " + value);
        } catch (CpsCallableInvocation call) {
            return new Continuable(call.invoke(Envs.empty(), null, Continuation.HALT));
        }
    }

    private void ended(Branch branch, Outcome outcome) {
        state.branches.remove(branch.id);
        Branch parent = state.branches.get(branch.parent);
        if (parent != null) {
            post(new Event(Kind.BODY_ENDED, parent.id, parent.step.serial, branch.id, outcome));
            return;
        }
        state.over = true;
        if (outcome.isFailure()) {
            state.failure = outcome.getAbnormal();
            state.worsen(state.failure instanceof FlowInterruptedException ? "ABORTED" : "FAILURE");
            jenkins.log(null, "ERROR: " + state.failure);
        } else if (state.result == null) {
            state.result = "SUCCESS";
        }
        jenkins.log(null, "Finished: " + state.result);
    }

    // ---- what steps ask for

    void post(Event event) {
        state.events.add(event);
    }

    /** Starts a body of a block step; its end is told to the step with the number that this returns. */
    int body(Branch parent, Closure<?> closure, Context context) {
        Branch branch = new Branch();
        branch.id = state.next();
        branch.parent = parent.id;
        branch.context = context;
        branch.body = closure;
        state.branches.put(branch.id, branch);
        post(new Event(Kind.START, branch.id, 0, 0, null));
        return branch.id;
    }

    void wakeIn(Branch branch, long milliseconds) {
        Event event = new Event(Kind.WAKE, branch.id, branch.step.serial, 0, null);
        TIMERS.schedule(() -> woken.add(event), Math.max(0, milliseconds), TimeUnit.MILLISECONDS);
    }

    void wakeAfter(Branch branch, ProcessHandle process) {
        Event event = new Event(Kind.WAKE, branch.id, branch.step.serial, 0, null);
        process.onExit().thenRun(() -> woken.add(event));
    }

    /** Everybody who waits for an executor or a lock looks again. */
    void wakeWaiting() {
        for (Branch branch : state.branches.values()) {
            if (branch.step instanceof Blocks.Waiting) {
                post(new Event(Kind.WAKE, branch.id, branch.step.serial, 0, null));
            }
        }
    }

    /** Interrupts what a branch waits for: the innermost steps of its bodies, or its own. */
    void interrupt(int id, Throwable why) {
        Branch branch = state.branches.get(id);
        if (branch == null) {
            return;
        }
        List<Integer> inner = state.branches.values().stream().filter(b -> b.parent == id).map(b -> b.id).toList();
        if (inner.isEmpty() && branch.step == null) {
            state.branches.remove(id); // not begun yet
            ended(branch, new Outcome(null, why));
        } else if (inner.isEmpty()) {
            branch.step.interrupt(this, branch, why);
        }
        inner.forEach(child -> interrupt(child, why));
    }

    /** The agent is gone, and with it whatever ran there. */
    void lose(String agent) {
        jenkins.log(null, agent + " has been removed or offline; assuming it is not coming back");
        state.lostAgents.add(agent);
        for (Branch branch : List.copyOf(state.branches.values())) {
            if (branch.step instanceof Shell shell && agent.equals(branch.context.agent())) {
                shell.interrupt(this, branch, new FlowInterruptedException("Timeout waiting for agent to come back", true));
            }
        }
    }

    // ---- restarts

    /** What a controller goes through that is stopped and started here: the build is written down, and read again. */
    void restart() throws IOException, ClassNotFoundException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(state);
        }
        jenkins.restarts++;
        restore(bytes.toByteArray());
    }

    void restore(byte[] saved) throws IOException, ClassNotFoundException {
        current = this;
        try (ObjectInputStreamWithLoader in =
                new ObjectInputStreamWithLoader(new ByteArrayInputStream(saved), library.loader())) {
            state = (State) in.readObject();
        }
    }
}
