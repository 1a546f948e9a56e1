package hudson.util;

import io.nbci.jenkins.stubs.Stub;
import java.util.AbstractList;

public class PersistedList<T> extends AbstractList<T> {
  @Override
  public T get(int index) {
    throw Stub.called();
  }

  @Override
  public int size() {
    throw Stub.called();
  }
}
