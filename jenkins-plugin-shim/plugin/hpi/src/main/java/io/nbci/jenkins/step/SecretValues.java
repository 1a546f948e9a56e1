package io.nbci.jenkins.step;

import com.cloudbees.plugins.credentials.CredentialsProvider;
import com.cloudbees.plugins.credentials.common.StandardCredentials;
import com.cloudbees.plugins.credentials.common.StandardUsernamePasswordCredentials;
import hudson.FilePath;
import hudson.model.Run;
import io.nbci.jenkins.step.NotebookRun.StepFailed;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jenkinsci.plugins.plaincredentials.FileCredentials;
import org.jenkinsci.plugins.plaincredentials.StringCredentials;

/** The values of secrets for one build. Needs the Credentials and Plain Credentials plugins. */
final class SecretValues {
  private final Run<?, ?> run;
  private final FilePath secretFolder;
  private final Map<String, String> environment = new LinkedHashMap<>();
  private final List<String> masked = new ArrayList<>();

  /**
   * @param secretFolder where secret files are written for the time of the build; beside the
   *     workspace, so that none is archived
   */
  SecretValues(Run<?, ?> run, FilePath secretFolder) {
    this.run = run;
    this.secretFolder = secretFolder;
  }

  /** Environment variables to values; the value of a secret file is its path on the agent. */
  Map<String, String> environment() {
    return environment;
  }

  /** What must not be shown. */
  List<String> masked() {
    return masked;
  }

  void add(SecretBinding binding) throws IOException, InterruptedException, StepFailed {
    String name = binding.getSecret();
    StandardCredentials credentials =
        CredentialsProvider.findCredentialById(
            binding.getCredentialsId(), StandardCredentials.class, run);
    if (credentials == null) {
      throw new StepFailed(
          Messages.SecretValues_NoCredentials(binding.getCredentialsId(), name));
    }

    CredentialsProvider.track(run, credentials);
    if (credentials instanceof StringCredentials text) {
      addText(name, text.getSecret().getPlainText());
    } else if (credentials instanceof StandardUsernamePasswordCredentials user) {
      addUser(name, user.getUsername(), user.getPassword().getPlainText());
    } else if (credentials instanceof FileCredentials file) {
      environment.put(name, writeFile(file));
    } else {
      throw new StepFailed(Messages.SecretValues_OtherKind(binding.getCredentialsId(), name));
    }
  }

  private void addText(String name, String value) {
    environment.put(name, value);
    masked.add(value);
  }

  /** The names that declarative pipelines give a user and a password. */
  private void addUser(String name, String user, String password) {
    addText(name, user + ":" + password);
    environment.put(name + "_USR", user);
    addText(name + "_PSW", password);
  }

  private String writeFile(FileCredentials file) throws IOException, InterruptedException {
    secretFolder.mkdirs();
    FilePath folder = secretFolder.createTempDir("nbci", "secret");
    // its name says what it is, but only its last part: it must not lead out of the folder
    String name = file.getFileName().replaceAll(".*[/\\\\]", "");
    FilePath written = folder.child(name.isEmpty() ? "secret" : name);
    try (InputStream content = file.getContent()) {
      written.copyFrom(content);
    }
    // read by the agent's user alone
    written.chmod(0400);
    return written.getRemote();
  }
}
