import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** Starts one OpenSearch node: {@code Launcher FOLDER HTTP_PORT}. */
public final class Launcher {
    private Launcher() {}

    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("discovery.type", "single-node");
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", args[1]);
            // A developer's disk may be 95 % full; the tests need little of it.
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(args[0]).numOfNode(1).clusterName("e2e"));
        new CountDownLatch(1).await();
    }
}
