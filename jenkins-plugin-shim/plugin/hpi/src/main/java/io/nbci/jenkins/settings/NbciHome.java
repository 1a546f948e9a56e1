package io.nbci.jenkins.settings;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Where nbci is installed, as people write it: a folder, or the command itself.
 *
 * <p>The text alone decides which of them it is, because the form is filled in on the controller
 * and the command runs elsewhere. A path is the command where it ends in {@code bin/nbci},
 * {@code Scripts\nbci.exe} or in {@code .exe}; a single word is a command to look for on the PATH;
 * all else is the folder of a virtual environment or of an installation.
 */
record NbciHome(String text) {
  private static final String COMMAND = "nbci";
  private static final Pattern WINDOWS = Pattern.compile("[A-Za-z]:[\\\\/].*|\\\\\\\\.*");
  private static final Pattern PROGRAM = Pattern.compile(".*\\.(exe|cmd|bat)");

  NbciHome {
    text = text == null ? "" : text.strip();
  }

  /** The program to start on a machine of that kind. */
  String command(boolean unix) {
    if (text.isEmpty()) {
      return COMMAND;
    }
    String path = withoutEnd(text);
    if (isCommand(path)) {
      return path;
    }
    return folderOfCommands(path, unix) + (unix ? "/" + COMMAND : "\\" + COMMAND + ".exe");
  }

  /** The folder with the command, to be put on a PATH; empty where the PATH has it already. */
  String commandsFolder() {
    String command = command(!WINDOWS.matcher(text).matches());
    int end = lastSeparator(command);
    return end < 0 ? "" : command.substring(0, Math.max(end, 1));
  }

  private static boolean isCommand(String path) {
    if (lastSeparator(path) < 0) {
      return !path.isEmpty();
    }
    String name = lastName(path).toLowerCase(Locale.ROOT);
    String folder = lastName(path.substring(0, lastSeparator(path)));
    boolean amongCommands = isFolderOfCommands(folder) && name.startsWith(COMMAND);
    return amongCommands || PROGRAM.matcher(name).matches();
  }

  private static String folderOfCommands(String path, boolean unix) {
    if (isFolderOfCommands(lastName(path))) {
      return path;
    }
    // what `python -m venv` and pip make on such a machine
    return path + (unix ? "/bin" : "\\Scripts");
  }

  private static boolean isFolderOfCommands(String name) {
    return name.equals("bin") || name.equalsIgnoreCase("Scripts");
  }

  private static String lastName(String path) {
    return path.substring(lastSeparator(path) + 1);
  }

  private static int lastSeparator(String path) {
    int slash = path.lastIndexOf('/');
    return Math.max(slash, path.lastIndexOf('\\'));
  }

  private static String withoutEnd(String path) {
    int end = path.length();
    while (end > 0 && lastSeparator(path.substring(0, end)) == end - 1) {
      end--;
    }
    return path.substring(0, end);
  }
}
