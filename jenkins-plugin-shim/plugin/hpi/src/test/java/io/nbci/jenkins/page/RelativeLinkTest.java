package io.nbci.jenkins.page;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which addresses of a build may become links. */
class RelativeLinkTest {
  @ParameterizedTest
  @ValueSource(strings = {
      "index.html", "steps/train.html#cell-3", "steps/a%2Fb.html?x=1:2", "./index.html", "#failure",
      "artifact/.nbci/build/1/report/", "steps/a..b.html", "steps/größe.html", "x/y:z.html"})
  void staysBelow(String link) {
    assertEquals(link, RelativeLink.checked(link));
  }

  @ParameterizedTest
  @ValueSource(strings = {
      "", "/", "//evil.example/x", "http://evil.example", "javascript:alert(1)", " javascript:x",
      "java\tscript:alert(1)", "jAvAsCrIpT:x", "data:text/html,x", "..", "../x", "a/../../x",
      "a/..", "%2e%2e/x", "a/.%2E/x", "a\\..\\x", "\\\\evil", "x\ny", "x\0y", "x\u0085y", "c:/x",
      "a b", "x<script>", "x\"y", "${it}"})
  void leadsElsewhere(String link) {
    assertEquals("", RelativeLink.checked(link));
  }

  @Test
  void aVeryLongOneIsNone() {
    assertEquals("", RelativeLink.checked("x".repeat(2_001)));
  }

  @Test
  void aFolderEndsWithASlash() {
    assertEquals("Notebook_20report/", RelativeLink.folder("Notebook_20report"));
    assertEquals("artifact/report/", RelativeLink.folder("artifact/report/"));
    assertEquals("", RelativeLink.folder(""));
    assertEquals("", RelativeLink.folder("report?x"));
    assertEquals("", RelativeLink.folder("report#x"));
    assertEquals("", RelativeLink.folder("../report"));
  }
}
