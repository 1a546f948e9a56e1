package io.nbci.jenkins;

import java.util.HashMap;
import java.util.Map;
import org.apache.commons.jelly.DynaTagSupport;
import org.apache.commons.jelly.JellyContext;
import org.apache.commons.jelly.JellyTagException;
import org.apache.commons.jelly.TagLibrary;
import org.apache.commons.jelly.XMLOutput;
import org.xml.sax.SAXException;
import org.xml.sax.helpers.AttributesImpl;

/** Stand-ins for the tags of Jenkins that the views use: an element of the same role each. */
final class JenkinsTags {
  private JenkinsTags() {}

  /** The tags of `/lib/layout` and `/lib/hudson`. */
  static final class Layout extends TagLibrary {
    Layout() {
      registerTag("layout", LayoutTag.class);
      registerTag("run-subpage", LayoutTag.class);
      registerTag("header", BodyTag.class);
      registerTag("main-panel", MainPanelTag.class);
      registerTag("app-bar", AppBarTag.class);
      registerTag("card", AppBarTag.class);
      registerTag("summary", SummaryTag.class);
      registerTag("icon", IconTag.class);
    }
  }

  /** The tags of `/lib/form`. */
  static final class Form extends TagLibrary {
    Form() {
      registerTag("entry", EntryTag.class);
      registerTag("textbox", InputTag.class);
      registerTag("checkbox", InputTag.class);
      registerTag("textarea", InputTag.class);
    }
  }

  /** The tags of `jelly:stapler`. */
  static final class Stapler extends TagLibrary {
    Stapler() {
      registerTag("include", IncludeTag.class);
    }
  }

  /** A tag that takes any attribute. */
  public abstract static class AnyTag extends DynaTagSupport {
    private final Map<String, Object> attributes = new HashMap<>();

    @Override
    public void setAttribute(String name, Object value) {
      attributes.put(name, value);
    }

    final Object attribute(String name) {
      return attributes.get(name);
    }

    final String text(String name) {
      return String.valueOf(attributes.get(name));
    }

    final void start(XMLOutput output, String element, String... names) throws JellyTagException {
      AttributesImpl written = new AttributesImpl();
      for (int i = 0; i < names.length; i += 2) {
        written.addAttribute("", names[i], names[i], "CDATA", names[i + 1]);
      }
      try {
        output.startElement(element, written);
      } catch (SAXException e) {
        throw new JellyTagException(e);
      }
    }

    final void end(XMLOutput output, String element) throws JellyTagException {
      try {
        output.endElement(element);
      } catch (SAXException e) {
        throw new JellyTagException(e);
      }
    }

    final void write(XMLOutput output, String text) throws JellyTagException {
      try {
        output.write(text);
      } catch (SAXException e) {
        throw new JellyTagException(e);
      }
    }
  }

  public static final class LayoutTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      start(output, "html");
      start(output, "body");
      invokeBody(output);
      end(output, "body");
      end(output, "html");
    }
  }

  public static final class BodyTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      invokeBody(output);
    }
  }

  public static final class MainPanelTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      start(output, "div", "id", "main-panel");
      invokeBody(output);
      end(output, "div");
    }
  }

  public static final class AppBarTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      start(output, "div", "class", "jenkins-app-bar");
      start(output, "h1");
      write(output, text("title"));
      end(output, "h1");
      invokeBody(output);
      end(output, "div");
    }
  }

  /** A field with its title and description, which are text where the view says so. */
  public static final class EntryTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      Object isEscaped = getContext().getVariable("escapeEntryTitleAndDescription");
      if (!"true".equals(String.valueOf(isEscaped))) {
        throw new JellyTagException("titles and descriptions would be put out as HTML");
      }
      start(output, "div", "class", "jenkins-form-item");
      for (String name : new String[] {"title", "description"}) {
        if (attribute(name) != null) {
          start(output, "p", "class", name);
          write(output, text(name));
          end(output, "p");
        }
      }
      invokeBody(output);
      end(output, "div");
    }
  }

  public static final class InputTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      String value = attribute("value") == null ? text("checked") : text("value");
      start(output, "input", "name", text("name"), "value", value);
      end(output, "input");
    }
  }

  public static final class SummaryTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      start(output, "div", "class", "app-summary", "data-icon", text("icon"));
      invokeBody(output);
      end(output, "div");
    }
  }

  public static final class IconTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      start(output, "i", "class", text("src"));
      end(output, "i");
    }
  }

  /** Includes a view of an object; of one that Jenkins has a view for, its name only. */
  public static final class IncludeTag extends AnyTag {
    @Override
    public void doTag(XMLOutput output) throws JellyTagException {
      Object it = attribute("it") == null ? getContext().getVariable("it") : attribute("it");
      Object from = attribute("from") == null ? it : attribute("from");
      String view = text("page");
      if (view.equals("sidepanel.jelly")) {
        start(output, "nav");
        end(output, "nav");
        return;
      }
      JellyContext inner = new JellyContext(getContext());
      inner.setVariable("it", it);
      inner.setVariable("from", from);
      try {
        JellyView.script(from.getClass(), view, inner).run(inner, output);
      } catch (Exception e) {
        throw new JellyTagException("included: " + view, e);
      }
    }
  }
}
