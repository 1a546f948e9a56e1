package hudson.util;

import java.util.ArrayList;
import java.util.Collection;

public class ComboBoxModel extends ArrayList<String> {
  private static final long serialVersionUID = 1L;


  public ComboBoxModel() {}


  public ComboBoxModel(Collection<? extends String> values) {
    super(values);
  }
}
