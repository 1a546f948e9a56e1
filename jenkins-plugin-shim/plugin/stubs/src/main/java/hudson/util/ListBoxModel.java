package hudson.util;

import io.nbci.jenkins.stubs.Stub;
import java.util.ArrayList;

public class ListBoxModel extends ArrayList<ListBoxModel.Option> {
  private static final long serialVersionUID = 1L;


  public ListBoxModel() {}

  public void add(String displayName, String value) {
    throw Stub.called();
  }


  public static final class Option {
    public String name;
    public String value;
  }
}
