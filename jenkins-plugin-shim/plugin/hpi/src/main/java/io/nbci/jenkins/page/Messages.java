package io.nbci.jenkins.page;

import org.jvnet.localizer.ResourceBundleHolder;

/** The texts of the pages, in the language of who looks at them; named as their keys are. */
final class Messages {
  private static final ResourceBundleHolder TEXTS = ResourceBundleHolder.get(Messages.class);

  private Messages() {}

  static String Page_Name() {
    return TEXTS.format("Page.Name");
  }

  static String Page_Unreadable(Object first) {
    return TEXTS.format("Page.Unreadable", first);
  }

  static String Keeper_NoFile(Object first) {
    return TEXTS.format("Keeper.NoFile", first);
  }

  static String Keeper_NotKept(Object first, Object second) {
    return TEXTS.format("Keeper.NotKept", first, second);
  }

  static String Keeper_NotSaved(Object first) {
    return TEXTS.format("Keeper.NotSaved", first);
  }

  static String PageStep_Name() {
    return TEXTS.format("PageStep.Name");
  }

  static String PageStep_OutsideWorkspace(Object first) {
    return TEXTS.format("PageStep.OutsideWorkspace", first);
  }

  static String Unreadable_Missing() {
    return TEXTS.format("Unreadable.Missing");
  }

  static String Unreadable_Disk() {
    return TEXTS.format("Unreadable.Disk");
  }

  static String Unreadable_TooLarge(Object first) {
    return TEXTS.format("Unreadable.TooLarge", first);
  }

  static String Unreadable_Encoding() {
    return TEXTS.format("Unreadable.Encoding");
  }

  static String Unreadable_Incomplete() {
    return TEXTS.format("Unreadable.Incomplete");
  }

  static String Unreadable_NotJson() {
    return TEXTS.format("Unreadable.NotJson");
  }

  static String Unreadable_NotObject() {
    return TEXTS.format("Unreadable.NotObject");
  }

  static String Unreadable_TooDeep(Object first) {
    return TEXTS.format("Unreadable.TooDeep", first);
  }

  static String Unreadable_TooMany(Object first) {
    return TEXTS.format("Unreadable.TooMany", first);
  }

  static String Unreadable_LongNumber(Object first) {
    return TEXTS.format("Unreadable.LongNumber", first);
  }

  static String Unreadable_LongText(Object first, Object second) {
    return TEXTS.format("Unreadable.LongText", first, second);
  }

  static String Unreadable_LongList(Object first, Object second) {
    return TEXTS.format("Unreadable.LongList", first, second);
  }

  static String Unreadable_WrongType(Object first) {
    return TEXTS.format("Unreadable.WrongType", first);
  }

  static String Unreadable_NoFormat() {
    return TEXTS.format("Unreadable.NoFormat");
  }

  static String Unreadable_NewerFormat(Object first, Object second) {
    return TEXTS.format("Unreadable.NewerFormat", first, second);
  }
}
