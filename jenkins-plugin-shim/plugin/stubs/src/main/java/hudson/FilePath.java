package hudson;

import hudson.model.Computer;
import hudson.remoting.VirtualChannel;
import io.nbci.jenkins.stubs.Stub;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;

public final class FilePath implements Serializable {
  private static final long serialVersionUID = 1L;

  public String getRemote() {
    throw Stub.called();
  }

  public FilePath child(String name) {
    throw Stub.called();
  }

  public boolean exists() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public boolean isDirectory() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public long length() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public void mkdirs() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public void deleteRecursive() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public boolean delete() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public InputStream read() throws IOException, InterruptedException {
    throw Stub.called();
  }

  public void write(String content, String encoding) throws IOException, InterruptedException {
    throw Stub.called();
  }

  public void copyFrom(InputStream content) throws IOException, InterruptedException {
    throw Stub.called();
  }

  public void chmod(int mask) throws IOException, InterruptedException {
    throw Stub.called();
  }

  public FilePath[] list(String includes) throws IOException, InterruptedException {
    throw Stub.called();
  }

  public FilePath createTempDir(String prefix, String suffix)
      throws IOException, InterruptedException {
    throw Stub.called();
  }

  public Computer toComputer() {
    throw Stub.called();
  }

  public VirtualChannel getChannel() {
    throw Stub.called();
  }
}
