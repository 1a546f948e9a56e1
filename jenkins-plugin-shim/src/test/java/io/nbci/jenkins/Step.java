package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Outcome;
import groovy.lang.Closure;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One call of a pipeline step, from its start to its end; serialisable at any moment between. */
abstract class Step implements Serializable {
    private static final long serialVersionUID = 1;

    String name;
    Arguments arguments;
    int serial;
    boolean ended;

    abstract void start(Engine engine, State.Branch branch) throws Exception;

    /** Something that the step waits for may have come. Also called after a restart. */
    void wake(Engine engine, State.Branch branch) throws Exception {}

    void bodyEnded(Engine engine, State.Branch branch, int child, Outcome outcome) throws Exception {
        end(engine, branch, outcome);
    }

    /** Stop what goes on; only asked of a step none of whose bodies run. */
    void interrupt(Engine engine, State.Branch branch, Throwable why) {
        end(engine, branch, new Outcome(null, why));
    }

    final void end(Engine engine, State.Branch branch, Outcome outcome) {
        if (!ended) {
            ended = true;
            engine.post(new State.Event(State.Kind.STEP_ENDED, branch.id, serial, 0, outcome));
        }
    }

    /** A step that is over as soon as it has begun. */
    @FunctionalInterface
    interface Action extends Serializable {
        Object run(Engine engine, State.Context context, Arguments arguments) throws Exception;
    }

    static final class Instant extends Step {
        private static final long serialVersionUID = 1;
        private final Action action;

        Instant(Action action) {
            this.action = action;
        }

        @Override
        void start(Engine engine, State.Branch branch) throws Exception {
            end(engine, branch, new Outcome(action.run(engine, branch.context, arguments), null));
        }
    }

    /** What a step was called with: named arguments, or one value for the argument that may go unnamed; and a body. */
    static final class Arguments implements Serializable {
        private static final long serialVersionUID = 1;
        final Map<String, Object> named = new LinkedHashMap<>();
        Closure<?> body;

        Arguments(Object[] given, String unnamed) {
            for (Object argument : given) {
                if (argument instanceof Closure<?> closure) {
                    body = closure;
                } else if (argument instanceof Map<?, ?> map) {
                    map.forEach((key, value) -> named.put(String.valueOf(key), plain(value)));
                } else {
                    named.put(unnamed, plain(argument));
                }
            }
        }

        /** Jenkins takes a text with values in it for a text. */
        static Object plain(Object value) {
            if (value instanceof List<?> list) {
                List<Object> copy = new ArrayList<>();
                list.forEach(item -> copy.add(plain(item)));
                return copy;
            }
            if (value instanceof Map<?, ?> map) {
                Map<String, Object> copy = new LinkedHashMap<>();
                map.forEach((key, item) -> copy.put(String.valueOf(key), plain(item)));
                return copy;
            }
            return value instanceof CharSequence text ? text.toString() : value;
        }

        /** Jenkins only warns of arguments that a step does not know; here they are mistakes. */
        void check(String step, Set<String> known) {
            for (String argument : named.keySet()) {
                if (!known.contains(argument)) {
                    throw new IllegalArgumentException("WARNING: Unknown parameter(s) found for " + step + ": " + argument);
                }
            }
        }

        String text(String argument) {
            Object value = named.get(argument);
            return value == null ? "" : value.toString();
        }

        boolean flag(String argument) {
            return flag(argument, false);
        }

        boolean flag(String argument, boolean otherwise) {
            return named.get(argument) instanceof Boolean value ? value : otherwise;
        }

        int number(String argument) {
            return ((Number) named.get(argument)).intValue();
        }

        @SuppressWarnings("unchecked")
        List<Object> list(String argument) {
            return (List<Object>) named.get(argument);
        }
    }
}
