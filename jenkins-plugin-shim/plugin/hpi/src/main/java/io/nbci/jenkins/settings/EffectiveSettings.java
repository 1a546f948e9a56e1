package io.nbci.jenkins.settings;

import hudson.EnvVars;
import hudson.model.Item;
import hudson.model.ItemGroup;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What holds for one job: the nearest folder that says something, else the controller's settings.
 *
 * @param storeRemote given to nbci as {@code NBCI_STORE_REMOTE}; empty: the project's own
 * @param runTimeout as nbci writes durations; empty: none
 */
public record EffectiveSettings(String command, String storeRemote, String runTimeout) {
  private static final String STORE_REMOTE = "NBCI_STORE_REMOTE";

  /** The settings of a job or another item; null: those of the controller. */
  public static EffectiveSettings of(Item item) {
    NbciSettings global = NbciSettings.get();
    EffectiveSettings standard =
        new EffectiveSettings(
            global.getCommand(), global.getStoreRemote(), global.getRunTimeout());
    return standard.under(foldersOf(item));
  }

  /** For nbci, which knows the remote by a variable; what the job itself sets there stays. */
  public void addTo(EnvVars environment) {
    if (!storeRemote.isEmpty()) {
      environment.putIfAbsent(STORE_REMOTE, storeRemote);
    }
  }

  /** These settings with what the folders say, the nearest folder first. */
  EffectiveSettings under(List<FolderValues> folders) {
    return new EffectiveSettings(
        nearest(folders, FolderValues::command).orElse(command),
        nearest(folders, FolderValues::storeRemote).orElse(storeRemote),
        runTimeout);
  }

  private static Optional<String> nearest(
      List<FolderValues> folders, Function<FolderValues, String> value) {
    return folders.stream().map(value).filter(text -> !text.isBlank()).findFirst();
  }

  private static List<FolderValues> foldersOf(Item item) {
    List<FolderValues> found = new ArrayList<>();
    Item below = item;
    while (below != null) {
      ItemGroup<?> folder = below.getParent();
      found.addAll(valuesOf(folder).stream().toList());
      below = folder instanceof Item above ? above : null;
    }
    return found;
  }

  private static Optional<FolderValues> valuesOf(ItemGroup<?> folder) {
    try {
      return NbciFolderProperty.valuesOf(folder);
    } catch (LinkageError e) {
      // without the Folders plugin there are no folders that could say something
      return Optional.empty();
    }
  }
}
