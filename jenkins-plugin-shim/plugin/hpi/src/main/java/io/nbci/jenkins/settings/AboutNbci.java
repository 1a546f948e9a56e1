package io.nbci.jenkins.settings;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import io.nbci.jenkins.settings.AgentFacts.Kernel;
import io.nbci.jenkins.settings.AgentProblem.Kind;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Asks an nbci about itself, and makes sense of the answer and of what came instead of one. */
final class AboutNbci {
  private static final int MOST_KERNELS = 200;
  private static final int MOST_GPUS = 64;
  private static final int LONGEST_TEXT = 200;

  /** What shells answer where a program is not there, or is none. */
  private static final int NOT_FOUND = 127;

  private static final int NOT_EXECUTABLE = 126;

  /** What an nbci says that has no such command; another program may end with that code, too. */
  private static final Pattern NO_COMMAND =
      Pattern.compile("(no command|invalid choice:?) 'about'");

  /** From `env`, from a shell, and from the launchers that pip makes on Windows. */
  private static final Pattern NO_PYTHON =
      Pattern.compile("python[^\\n]*(No such file|not found|cannot find)|Fatal error in launcher");

  /** From Java, with the number that Linux, macOS or Windows gives. */
  private static final Pattern NO_PROGRAM = Pattern.compile("error[=:] ?2\\b");

  private static final Pattern NO_PERMISSION =
      Pattern.compile("error[=:] ?(13|5|193)\\b|Permission denied");

  private final CommandOnAgent machine;
  private final String agent;
  private final String command;

  AboutNbci(CommandOnAgent machine, String agent, String command) {
    this.machine = machine;
    this.agent = agent;
    this.command = command;
  }

  /** Never throws what the machine causes: that is an answer, too. */
  AgentAnswer ask() throws InterruptedException {
    try {
      CommandOnAgent.Result result = machine.run(List.of(command, "about", "--json"));
      return answer(result);
    } catch (IOException e) {
      return problem(e);
    }
  }

  private AgentAnswer answer(CommandOnAgent.Result result) {
    if (result.timedOut()) {
      return problem(Kind.NO_ANSWER_IN_TIME, "");
    }
    if (result.exitCode() == 0) {
      Optional<AgentFacts> facts = decode(result.output());
      return facts.isPresent() ? facts.get() : problem(Kind.NOT_UNDERSTOOD, "");
    }
    String said = result.errors() + "\n" + result.output();
    if (NO_PYTHON.matcher(said).find()) {
      return problem(Kind.NO_PYTHON, "");
    }
    if (NO_COMMAND.matcher(said).find()) {
      return problem(Kind.OLD_NBCI, "");
    }
    return switch (result.exitCode()) {
      case NOT_FOUND -> problem(Kind.NO_NBCI, "");
      case NOT_EXECUTABLE -> problem(Kind.NOT_EXECUTABLE, "");
      default -> problem(Kind.FAILED, lastLine(said, result.exitCode()));
    };
  }

  private AgentProblem problem(Kind kind, String detail) {
    return new AgentProblem(kind, agent, command, detail);
  }

  private AgentProblem problem(IOException error) {
    // Remoting wraps what was thrown on the agent, at depths that differ between versions
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      String message = String.valueOf(cause.getMessage());
      if (!message.contains("Cannot run program") && !message.contains("CreateProcess")) {
        continue;
      }
      if (NO_PERMISSION.matcher(message).find()) {
        return problem(Kind.NOT_EXECUTABLE, "");
      }
      if (NO_PROGRAM.matcher(message).find()) {
        return problem(Kind.NO_NBCI, "");
      }
    }
    return problem(Kind.UNREACHABLE, shortened(String.valueOf(error.getMessage())));
  }

  private static String lastLine(String said, int exitCode) {
    String stripped = said.strip();
    String line = stripped.substring(stripped.lastIndexOf('\n') + 1);
    return line.isEmpty() ? Messages.AboutNbci_exitCode(exitCode) : shortened(line);
  }

  /** The facts; none where the text is not what `nbci about --json` prints. */
  static Optional<AgentFacts> decode(String text) {
    try {
      JsonElement parsed = JsonParser.parseString(text);
      if (!parsed.isJsonObject() || textOf(parsed.getAsJsonObject(), "nbci").isEmpty()) {
        return Optional.empty();
      }
      return Optional.of(facts(parsed.getAsJsonObject()));
    } catch (JsonParseException | StackOverflowError e) {
      // a text of brackets alone is as deep as it is long
      return Optional.empty();
    }
  }

  private static AgentFacts facts(JsonObject about) {
    List<Kernel> kernels = new ArrayList<>();
    for (JsonObject kernel : objects(about, "kernels", MOST_KERNELS)) {
      String name = textOf(kernel, "name");
      String displayName = textOf(kernel, "display_name");
      if (!name.isEmpty()) {
        kernels.add(
            new Kernel(
                name, displayName.isEmpty() ? name : displayName, textOf(kernel, "language")));
      }
    }
    List<String> gpus =
        objects(about, "gpus", MOST_GPUS).stream()
            .map(gpu -> textOf(gpu, "name"))
            .filter(name -> !name.isEmpty())
            .toList();
    return new AgentFacts(
        textOf(about, "nbci"), textOf(about, "python"), textOf(about, "platform"), kernels, gpus);
  }

  private static List<JsonObject> objects(JsonObject owner, String key, int most) {
    if (!(owner.get(key) instanceof JsonArray array)) {
      return List.of();
    }
    List<JsonObject> found = new ArrayList<>();
    for (JsonElement element : array) {
      if (element instanceof JsonObject object && found.size() < most) {
        found.add(object);
      }
    }
    return found;
  }

  private static String textOf(JsonObject owner, String key) {
    JsonElement element = owner.get(key);
    boolean isText = element != null && element.isJsonPrimitive();
    return isText ? shortened(element.getAsString()) : "";
  }

  private static String shortened(String text) {
    String plain = text.replaceAll("\\p{Cntrl}+", " ").strip();
    return plain.length() <= LONGEST_TEXT ? plain : plain.substring(0, LONGEST_TEXT) + "…";
  }
}
