package engine_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
)

func dump(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*.db"))
	for _, f := range files {
		db, err := sql.Open("sqlite", f)
		if err != nil {
			continue
		}
		rows, err := db.Query("select id, source_side, source_id, target_side, target_id, link_id from intents")
		if err != nil {
			fmt.Println(err)
			continue
		}
		for rows.Next() {
			var a, b, c, d, e, g string
			_ = rows.Scan(&a, &b, &c, &d, &e, &g)
			fmt.Println("INTENT", f, a, b, c, d, e, g)
			l, _ := db.Query("select id,left_id,right_id,state from links")
			for l.Next() {
				var a, b, c, d string
				_ = l.Scan(&a, &b, &c, &d)
				fmt.Println("  LINK", a, b, c, d)
			}
		}
		db.Close()
	}
}
