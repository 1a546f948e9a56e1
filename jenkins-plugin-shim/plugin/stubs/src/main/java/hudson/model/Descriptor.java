package hudson.model;

import io.nbci.jenkins.stubs.Stub;
import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class Descriptor<T extends Describable<T>> {
  protected Descriptor() {}

  protected Descriptor(Class<? extends T> type) {}

  public String getDisplayName() {
    throw Stub.called();
  }

  public T newInstance(StaplerRequest2 request, JSONObject form) throws FormException {
    throw Stub.called();
  }

  public boolean configure(StaplerRequest2 request, JSONObject json) throws FormException {
    throw Stub.called();
  }

  public synchronized void save() {
    throw Stub.called();
  }

  public synchronized void load() {
    throw Stub.called();
  }

  public static class FormException extends Exception {
    private static final long serialVersionUID = 1L;

    public FormException(String message, String field) {
      super(message);
    }
  }
}
