package devserver

import (
	"net/url"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
)

// clusterName is Temporal's own name for a cluster that has no peers.
const clusterName = "active"

// sqliteConfig is the connection to the data file of dir, or to a fresh database in memory when dir is empty.
func sqliteConfig(dir string) (*config.SQL, error) {
	if dir == "" {
		return &config.SQL{
			PluginName:        sqlite.PluginName,
			DatabaseName:      "temporal-" + uuid.NewString(),
			ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
		}, nil
	}
	path, err := databasePath(dir)
	if err != nil {
		return nil, err
	}
	return &config.SQL{
		PluginName: sqlite.PluginName,
		// The name becomes part of a URI, where a folder called "100% #1?" would be cut short.
		DatabaseName: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(),
		// The default journal doubles the CPU per workflow; in WAL mode synchronous=1 survives a kill, and a power
		// cut costs at most the last transactions, never the file.
		ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "1", "busy_timeout": "5000"},
	}, nil
}

// serverConfig is Temporal's configuration for four services in one process and a single history shard.
func serverConfig(sqlConfig *config.SQL, ports *portSet) *config.Config {
	address := ports.clientAddress()
	cfg := &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     sqlite.PluginName,
			VisibilityStore:  sqlite.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqlite.PluginName: {SQL: sqlConfig}},
		},
		// No ClusterID: the server draws one at first start and keeps it in the data file.
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: address},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            ports.services(),
		PublicClient:        config.PublicClient{HostPort: address},
	}
	cfg.Global.Membership = config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: loopback}
	cfg.Archival.History.State = "disabled"
	cfg.Archival.Visibility.State = "disabled"
	cfg.NamespaceDefaults.Archival.History.State = "disabled"
	cfg.NamespaceDefaults.Archival.Visibility.State = "disabled"
	return cfg
}

// dynamicConfig tunes the server for one machine. The defaults are meant for clusters that share a database: 20 polls
// a second per shard makes each hop of a workflow wait up to 50 ms. These values make a workflow ten times faster.
func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.TransferProcessorMaxPollRPS.Key(): 1000,
		dynamicconfig.TimerProcessorMaxPollRPS.Key():    1000,
		// Without it timers fire up to a second late.
		dynamicconfig.TimerProcessorMaxTimeShift.Key(): time.Millisecond,
		// A waiter that missed its wake-up asks again after this long (20 s by default).
		dynamicconfig.HistoryLongPollExpirationInterval.Key(): 2 * time.Second,
		// Fairness keys let one tenant's flood not starve the others.
		dynamicconfig.MatchingEnableFairness.Key(): true,
		// Runs are pinned to the worker version that began them.
		dynamicconfig.EnableDeploymentVersions.Key(): true,
	}
}
