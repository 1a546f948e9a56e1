package io.nbci.jenkins;

import com.cloudbees.groovy.cps.Continuable;
import com.cloudbees.groovy.cps.SerializableScript;
import groovy.lang.Binding;
import groovy.lang.GroovyObjectSupport;
import groovy.lang.MissingPropertyException;
import groovy.lang.Script;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.codehaus.groovy.runtime.InvokerHelper;

/** What the job's script and every `vars/*.groovy` extend: steps and global variables by their names. */
public abstract class PipelineScript extends SerializableScript {
    private static final long serialVersionUID = 1;

    @Override
    public Object invokeMethod(String name, Object arguments) {
        Engine engine = Engine.current();
        Object[] given = InvokerHelper.asArray(arguments);
        Script global = engine.jenkins.has(name) ? engine.library.global(name) : null;
        if (global != null) {
            return InvokerHelper.getMetaClass(global).invokeMethod(global, "call", given);
        }
        if (Steps.symbol(name) && engine.jenkins.has(name)) {
            Map<String, Object> described = new LinkedHashMap<>(new Step.Arguments(given, "value").named);
            described.put("$symbol", name);
            return described;
        }
        return Continuable.suspend(name, Steps.create(engine.jenkins, name, given));
    }

    @Override
    public Object getProperty(String name) {
        Engine engine = Engine.current();
        switch (name) {
            case "env": return new Environment();
            case "params": return new LinkedHashMap<>(engine.state.params);
            case "currentBuild": return new CurrentBuild();
            case "scm": return "scm";
            default:
        }
        Script global = engine.jenkins.has(name) ? engine.library.global(name) : null;
        if (global == null) {
            throw new MissingPropertyException(name, getClass());
        }
        return global;
    }

    // the binding of a script lies in a class that is not serialisable; it holds nothing of a build
    private void writeObject(ObjectOutputStream out) throws IOException {
        if (!getBinding().getVariables().isEmpty()) {
            throw new IOException("variables without `def`: " + getBinding().getVariables().keySet());
        }
    }

    private void readObject(ObjectInputStream in) {
        setBinding(new Binding());
    }

    /** {@code env.NAME}, as the branch sees it that asks. */
    public static final class Environment extends GroovyObjectSupport implements Serializable {
        private static final long serialVersionUID = 1;

        @Override
        public Object getProperty(String name) {
            Engine engine = Engine.current();
            String near = engine.context().env().get(name);
            return near != null ? near : engine.state.env.get(name);
        }

        @Override
        public void setProperty(String name, Object value) {
            Engine.current().state.env.put(name, String.valueOf(value));
        }
    }

    /** {@code currentBuild}. */
    public static final class CurrentBuild implements Serializable {
        private static final long serialVersionUID = 1;

        public String getResult() {
            return Engine.current().state.result;
        }

        public void setResult(String result) {
            Engine.current().state.worsen(result);
        }

        public String getCurrentResult() {
            return State.worse(getResult(), "SUCCESS");
        }

        public String getDescription() {
            return Engine.current().state.description;
        }

        public void setDescription(Object description) {
            Engine.current().state.description = String.valueOf(description);
        }

        public String getAbsoluteUrl() {
            return "http://jenkins/job/" + Engine.current().state.env.get("JOB_NAME") + "/1/";
        }

        public int getNumber() {
            return 1;
        }

        public List<Map<String, String>> getBuildCauses() {
            return causes("");
        }

        public List<Map<String, String>> getBuildCauses(String type) {
            return causes(type);
        }

        private static List<Map<String, String>> causes(String type) {
            List<Map<String, String>> found = new ArrayList<>();
            for (String cause : Engine.current().jenkins.causes) {
                if (type.isEmpty() || type.equals(cause)) {
                    found.add(new LinkedHashMap<>(Map.of("_class", cause)));
                }
            }
            return found;
        }

        public EarlierBuild getPreviousBuild() {
            return EarlierBuild.at(0);
        }
    }

    /** A build before this one. */
    public record EarlierBuild(int at) implements Serializable {
        private static EarlierBuild at(int place) {
            return place < Engine.current().jenkins.before.size() ? new EarlierBuild(place) : null;
        }

        public Map<String, String> getBuildVariables() {
            return Engine.current().jenkins.before.get(at);
        }

        public EarlierBuild getPreviousBuild() {
            return at(at + 1);
        }
    }
}
