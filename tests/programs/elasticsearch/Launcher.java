import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one Elasticsearch node from the published jars: {@code Launcher CONFIG_FOLDER}.
 *
 * The distribution's own main class insists on a keystore, on native libraries that are not
 * published and on not being root; a test needs none of that.
 */
public final class Launcher {
    private Launcher() {}

    public static void main(String[] args) throws Exception {
        // First of all: static fields of other classes ask for a logger when they are loaded.
        LogConfigurator.configureESLogging();
        LogConfigurator.registerErrorListener();

        Settings home = Settings.builder().put("path.home", System.getProperty("es.path.home")).build();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(home, Map.of(), Path.of(args[0]), () -> "e2e");
        LogConfigurator.setNodeName("e2e");
        LogConfigurator.configure(environment, true);

        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()),
            PluginsLoader.loadPluginsBundles(environment.pluginsDir()),
            Map.of());
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        new CountDownLatch(1).await();
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (IOException e) {
            e.printStackTrace();
        }
    }
}
