package org.kohsuke.stapler;

public interface StaplerRequest2 {
  void bindJSON(Object target, net.sf.json.JSONObject json);

  <T> T findAncestorObject(Class<T> type);
}
