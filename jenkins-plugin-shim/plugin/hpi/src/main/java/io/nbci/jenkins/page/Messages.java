package io.nbci.jenkins.page;

import org.jvnet.localizer.ResourceBundleHolder;

/** The texts of the pages, in the language of who looks at them; named as their keys are. */
final class Messages {
  private static final ResourceBundleHolder TEXTS = ResourceBundleHolder.get(Messages.class);

  private Messages() {}

  static String Page_Name() {
    return TEXTS.format("Page.Name");
  }

  static String Page_NameOf(Object pipeline) {
    return TEXTS.format("Page.NameOf", pipeline);
  }

  static String Page_Unreadable(Object reason) {
    return TEXTS.format("Page.Unreadable", reason);
  }

  static String Keeper_NoFile(Object path) {
    return TEXTS.format("Keeper.NoFile", path);
  }

  static String Keeper_NotKept(Object path, Object reason) {
    return TEXTS.format("Keeper.NotKept", path, reason);
  }

  static String Keeper_NotSaved(Object reason) {
    return TEXTS.format("Keeper.NotSaved", reason);
  }

  static String PageStep_Name() {
    return TEXTS.format("PageStep.Name");
  }

  static String PageStep_OutsideWorkspace(Object path) {
    return TEXTS.format("PageStep.OutsideWorkspace", path);
  }

  static String Unreadable_Missing() {
    return TEXTS.format("Unreadable.Missing");
  }

  static String Unreadable_Disk() {
    return TEXTS.format("Unreadable.Disk");
  }

  static String Unreadable_TooLarge(Object limit) {
    return TEXTS.format("Unreadable.TooLarge", limit);
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

  static String Unreadable_TooDeep(Object limit) {
    return TEXTS.format("Unreadable.TooDeep", limit);
  }

  static String Unreadable_TooMany(Object limit) {
    return TEXTS.format("Unreadable.TooMany", limit);
  }

  static String Unreadable_LongNumber(Object limit) {
    return TEXTS.format("Unreadable.LongNumber", limit);
  }

  static String Unreadable_LongText(Object place, Object limit) {
    return TEXTS.format("Unreadable.LongText", place, limit);
  }

  static String Unreadable_LongList(Object place, Object limit) {
    return TEXTS.format("Unreadable.LongList", place, limit);
  }

  static String Unreadable_WrongType(Object place) {
    return TEXTS.format("Unreadable.WrongType", place);
  }

  static String Unreadable_NoFormat() {
    return TEXTS.format("Unreadable.NoFormat");
  }

  static String Unreadable_NewerFormat(Object format, Object known) {
    return TEXTS.format("Unreadable.NewerFormat", format, known);
  }

  static String Word_Passed() {
    return TEXTS.format("Word.Passed");
  }

  static String Word_Refused() {
    return TEXTS.format("Word.Refused");
  }

  static String Word_Failed() {
    return TEXTS.format("Word.Failed");
  }

  static String Word_Interrupted() {
    return TEXTS.format("Word.Interrupted");
  }

  static String Word_Running() {
    return TEXTS.format("Word.Running");
  }

  static String Word_Warned() {
    return TEXTS.format("Word.Warned");
  }

  static String Word_Overridden() {
    return TEXTS.format("Word.Overridden");
  }

  static String Word_Skipped() {
    return TEXTS.format("Word.Skipped");
  }

  static String Word_Reused() {
    return TEXTS.format("Word.Reused");
  }

  static String Word_Waiting() {
    return TEXTS.format("Word.Waiting");
  }

  static String Word_Better() {
    return TEXTS.format("Word.Better");
  }

  static String Word_Worse() {
    return TEXTS.format("Word.Worse");
  }

  static String Word_Same() {
    return TEXTS.format("Word.Same");
  }

  static String Trend_Released(Object version) {
    return TEXTS.format("Trend.Released", version);
  }
}
