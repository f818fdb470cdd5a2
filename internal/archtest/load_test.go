package archtest

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const module = "github.com/accord-sync/accord"

// goFile is one parsed source file; dir and name are relative to the module's root.
type goFile struct {
	dir       string
	name      string
	pkg       string
	lines     int
	test      bool
	generated bool
	imports   []string
	syntax    *ast.File
}

func (f goFile) path() string { return path.Join(f.dir, f.name) }

// load parses every Go file of the module in tree, except under testdata, hidden folders and folders git ignores.
func load(tree fs.FS) ([]goFile, error) {
	ignored, err := ignoredDirs(tree)
	if err != nil {
		return nil, err
	}
	var files []goFile
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (ignored[name] || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		file, err := parse(tree, name)
		if err != nil {
			return err
		}
		files = append(files, file)
		return nil
	})
	return files, err
}

func parse(tree fs.FS, name string) (goFile, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return goFile{}, err
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, fmt.Errorf("parse %s: %w", name, err)
	}
	file := goFile{
		dir:       path.Dir(name),
		name:      path.Base(name),
		pkg:       syntax.Name.Name,
		lines:     bytes.Count(source, []byte("\n")),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		syntax:    syntax,
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return goFile{}, fmt.Errorf("import of %s: %w", name, err)
		}
		file.imports = append(file.imports, imported)
	}
	return file, nil
}

// ignoredDirs reads the folders that .gitignore names from the root ("/bin/").
func ignoredDirs(tree fs.FS) (map[string]bool, error) {
	dirs := map[string]bool{}
	content, err := fs.ReadFile(tree, ".gitignore")
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "/") && strings.HasSuffix(line, "/") {
			dirs[strings.Trim(line, "/")] = true
		}
	}
	return dirs, lines.Err()
}

// within says whether name is the import path or folder prefix, or lies under it.
func within(name, prefix string) bool {
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

// local is the folder of an import of this module; ok is false for every other import.
func local(imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}
