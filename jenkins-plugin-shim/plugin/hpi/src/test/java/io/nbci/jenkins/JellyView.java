package io.nbci.jenkins;

import java.io.StringWriter;
import java.net.URL;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import javax.xml.parsers.SAXParserFactory;
import org.apache.commons.jelly.JellyContext;
import org.apache.commons.jelly.JellyException;
import org.apache.commons.jelly.Script;
import org.apache.commons.jelly.XMLOutput;
import org.apache.commons.jelly.expression.Expression;
import org.apache.commons.jelly.expression.ExpressionFactory;
import org.apache.commons.jelly.expression.ExpressionSupport;
import org.apache.commons.jelly.expression.jexl.JexlExpressionFactory;
import org.apache.commons.jelly.parser.XMLParser;
import org.xml.sax.InputSource;
import org.xml.sax.XMLReader;

/**
 * A view rendered without a controller.
 *
 * <p>Jelly and the language of its expressions are the ones that Jenkins' are made of. The tags of
 * Jenkins are small ones of our own, {@link JenkinsTags}; texts of expressions are escaped, as
 * Jenkins does where a view asks for escape-by-default.
 */
public final class JellyView {
  static final String LANGUAGE = "nbci.language";

  private JellyView() {}

  /** Renders a view of an object in a language; "en" is the one that the views are written in. */
  public static String render(Object it, String view, String language, Map<String, ?> variables) {
    return render(it.getClass(), it, view, language, variables);
  }

  /** Renders the view of a class with something that has the properties that the view asks for. */
  public static String render(
      Class<?> type, Object it, String view, String language, Map<String, ?> variables) {
    JellyContext context = new JellyContext();
    context.registerTagLibrary("/lib/layout", new JenkinsTags.Layout());
    context.registerTagLibrary("/lib/hudson", new JenkinsTags.Layout());
    context.registerTagLibrary("/lib/form", new JenkinsTags.Form());
    context.registerTagLibrary("jelly:stapler", new JenkinsTags.Stapler());
    context.setVariable("it", it);
    context.setVariable("rootURL", "/jenkins");
    context.setVariable("resURL", "/jenkins/static/1");
    context.setVariable(LANGUAGE, language);
    variables.forEach(context::setVariable);
    StringWriter html = new StringWriter();
    try {
      // the writer escapes all text: what views put out unescaped is forbidden by ViewsTest
      XMLOutput output = XMLOutput.createXMLOutput(html, true);
      script(type, view, context).run(context, output);
      output.flush();
    } catch (Exception e) {
      throw new AssertionError(view + " of " + type.getSimpleName(), e);
    }
    return html.toString();
  }

  /** Compiles a view of a class, with its texts in the context's language. */
  static Script script(Class<?> type, String view, JellyContext context) throws Exception {
    String resource = type.getName().replace('.', '/') + "/" + view;
    URL url = JellyView.class.getClassLoader().getResource(resource);
    if (url == null) {
      throw new JellyException("no view " + resource);
    }
    String language = (String) context.getVariable(LANGUAGE);
    String texts = resource.replaceAll("\\.jelly$", "_" + language + ".properties");
    Properties translated = ResourceFiles.properties(ResourceFiles.ROOT.resolve(Path.of(texts)));
    // the JDK's: what Jelly's old libraries bring along does not know its features
    SAXParserFactory readers = SAXParserFactory.newDefaultInstance();
    readers.setNamespaceAware(true);
    XMLParser parser = new Parser(readers.newSAXParser().getXMLReader(), translated);
    parser.setContext(context);
    return parser.parse(new InputSource(url.toExternalForm())).compile();
  }

  /** Reads `${%Text}` as a text in the reader's language, as Stapler does. */
  private static final class Parser extends XMLParser {
    private final Properties texts;

    Parser(XMLReader reader, Properties texts) {
      super(reader);
      this.texts = texts;
    }

    @Override
    protected ExpressionFactory createExpressionFactory() {
      ExpressionFactory jexl = new JexlExpressionFactory();
      return text ->
          text.startsWith("%") ? translated(text.substring(1)) : jexl.createExpression(text);
    }

    private Expression translated(String key) {
      String text = texts.getProperty(key.strip(), key.strip());
      return new ExpressionSupport() {
        @Override
        public String getExpressionText() {
          return key;
        }

        @Override
        public Object evaluate(JellyContext context) {
          return text;
        }
      };
    }
  }
}
