package hudson;

import io.nbci.jenkins.stubs.Stub;
import java.util.AbstractList;

public class ExtensionList<T> extends AbstractList<T> {
  @Override
  public T get(int index) {
    throw Stub.called();
  }

  @Override
  public int size() {
    throw Stub.called();
  }

  public static <U> U lookupSingleton(Class<U> type) {
    throw Stub.called();
  }
}
