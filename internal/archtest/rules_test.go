package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"sort"
	"strings"
)

const (
	maxLines = 400
	maxDepth = 9
)

// layers are the house from the ground up. A package imports packages of lower layers and of its own group only; a
// group is an entry with all folders under it. .golangci.yml (depguard) holds the same table: change both.
func layers() [][]string {
	return [][]string{
		{"internal/fault"},
		{"internal/record", "internal/document"},
		{"internal/mapping", "internal/merge", "internal/manifest", "internal/broker", "internal/config", "internal/telemetry"},
		{"internal/integration"},
		{"internal/ledger", "internal/connector", "internal/sandbox", "internal/devserver"},
		{"internal/engine", "internal/scenario"},
		{"activities"},
		{"workflows"},
		{"internal/control"},
		{"api", "internal/cli", "internal/demo"},
		{"internal/app"},
		{"cmd", "worker", "starter", "e2e", "bench"},
	}
}

// mains are packages whose folder holds other packages of a lower layer; they stand on the top layer.
func mains() []string { return []string{"api"} }

// restriction keeps a library out of all packages but a few. Strict ones hold for test files too.
type restriction struct {
	libraries []string
	allowed   []string
	strict    bool
	why       string
}

func restrictions() []restriction {
	return []restriction{
		{
			libraries: []string{"go.temporal.io/server", "github.com/temporalio/ui-server"},
			allowed:   []string{"internal/devserver"},
			strict:    true,
			why:       "the embedded server takes minutes to compile",
		},
		{
			libraries: []string{module + "/internal/devserver"},
			allowed:   []string{"internal/devserver", "cmd/accord", "e2e"},
			strict:    true,
			why:       "worker, api and starter stay small; hand the server in from cmd/accord",
		},
		{
			libraries: []string{"go.temporal.io/sdk", "go.temporal.io/api"},
			allowed:   []string{"workflows", "activities", "internal/control", "internal/devserver", "internal/app", "internal/telemetry", "e2e", "bench"},
			why:       "everything else asks internal/control",
		},
		{
			libraries: []string{"github.com/gin-gonic/gin", "github.com/oapi-codegen/runtime/strictmiddleware/gin"},
			allowed:   []string{"api", "internal/sandbox"},
			why:       "HTTP handlers live in api",
		},
		{
			libraries: []string{"database/sql", "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/pressly/goose"},
			allowed:   []string{"internal/ledger/sqlstore", "internal/ledger/ledgertest", "internal/app"},
			why:       "everything else asks the ledger.Store",
		},
		{
			libraries: []string{"github.com/nats-io", "github.com/rabbitmq", "github.com/twmb"},
			allowed:   []string{"internal/broker"},
			why:       "everything else asks internal/broker",
		},
	}
}

// place is a package's layer and group; ok is false when the table does not know the package.
func place(dir string) (layer int, group string, ok bool) {
	table := layers()
	if slices.Contains(mains(), dir) {
		return len(table) - 1, dir + " (main)", true
	}
	for i, groups := range table {
		for _, group := range groups {
			if within(dir, group) {
				return i, group, true
			}
		}
	}
	return 0, "", false
}

func checkArrows(files []goFile) []string {
	var found []string
	for _, file := range files {
		// integrations and connectors only embed the YAML files beside them: data, importable by all.
		if file.test || within(file.dir, "internal/archtest") || file.dir == "integrations" || file.dir == "connectors" {
			continue
		}
		layer, group, ok := place(file.dir)
		if !ok {
			found = append(found, fmt.Sprintf("%s: folder %s has no place in the layers: give it one here and in .golangci.yml", file.path(), file.dir))
			continue
		}
		for _, imported := range file.imports {
			target, ok := local(imported)
			if !ok {
				continue
			}
			targetLayer, targetGroup, known := place(target)
			if known && targetGroup != group && targetLayer >= layer {
				found = append(found, fmt.Sprintf("%s imports %s: arrows point down only", file.path(), target))
			}
		}
	}
	return found
}

func checkRestrictions(files []goFile) []string {
	var found []string
	for _, file := range files {
		for _, rule := range restrictions() {
			if file.test && !rule.strict || slices.ContainsFunc(rule.allowed, func(dir string) bool { return within(file.dir, dir) }) {
				continue
			}
			for _, imported := range file.imports {
				if slices.ContainsFunc(rule.libraries, func(library string) bool { return within(imported, library) }) {
					found = append(found, fmt.Sprintf("%s imports %s: allowed only in %s: %s", file.path(), imported, strings.Join(rule.allowed, ", "), rule.why))
				}
			}
		}
	}
	return found
}

func checkLength(files []goFile) []string {
	var found []string
	for _, file := range files {
		if !file.test && !file.generated && file.lines > maxLines {
			found = append(found, fmt.Sprintf("%s has %d lines: split it, %d are allowed", file.path(), file.lines, maxLines))
		}
	}
	return found
}

func checkNames(files []goFile) []string {
	var found []string
	for _, file := range files {
		name := strings.TrimSuffix(file.pkg, "_test")
		switch name {
		case "util", "utils", "common", "shared", "models", "helper", "helpers":
			found = append(found, fmt.Sprintf("%s: package %s says nothing: name it after what it is about", file.path(), name))
		}
	}
	return found
}

// checkDepth follows imports inside the module; a package that imports none of it has depth 0.
func checkDepth(files []goFile) []string {
	graph := map[string][]string{}
	for _, file := range files {
		if file.test {
			continue
		}
		if _, ok := graph[file.dir]; !ok {
			graph[file.dir] = nil
		}
		for _, imported := range file.imports {
			if target, ok := local(imported); ok {
				graph[file.dir] = append(graph[file.dir], target)
			}
		}
	}
	known := map[string]int{}
	var depth func(dir string) int
	depth = func(dir string) int {
		if d, ok := known[dir]; ok {
			return d
		}
		known[dir] = 0 // Go itself refuses cycles; this keeps a broken tree from recursing for ever
		deepest := 0
		for _, target := range graph[dir] {
			deepest = max(deepest, depth(target)+1)
		}
		known[dir] = deepest
		return deepest
	}
	var found []string
	for dir := range graph {
		if d := depth(dir); d > maxDepth {
			found = append(found, fmt.Sprintf("%s: its longest chain of imports has %d steps, %d are allowed", dir, d, maxDepth))
		}
	}
	sort.Strings(found)
	return found
}

func checkDocs(files []goFile) []string {
	var found []string
	for _, file := range files {
		if file.test || file.generated {
			continue
		}
		for _, name := range undocumented(file.syntax) {
			found = append(found, fmt.Sprintf("%s: exported %s has no doc comment", file.path(), name))
		}
	}
	return found
}

func undocumented(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				names = append(names, undocumentedSpec(d, spec)...)
			}
		}
	}
	return names
}

func undocumentedSpec(decl *ast.GenDecl, spec ast.Spec) []string {
	var names []string
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		if s.Doc == nil && decl.Doc == nil {
			names = append(names, s.Name.Name)
		}
		if contract, ok := s.Type.(*ast.InterfaceType); ok {
			names = append(names, undocumentedMethods(s.Name.Name, contract)...)
		}
	case *ast.ValueSpec:
		if s.Doc != nil || s.Comment != nil || decl.Doc != nil {
			return nil
		}
		for _, name := range s.Names {
			if name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

func undocumentedMethods(owner string, contract *ast.InterfaceType) []string {
	var names []string
	for _, method := range contract.Methods.List {
		if len(method.Names) == 1 && method.Names[0].IsExported() && method.Doc == nil && method.Comment == nil {
			names = append(names, owner+"."+method.Names[0].Name)
		}
	}
	return names
}

// exportedReceiver says whether a function is one, or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return true
		}
	}
}
