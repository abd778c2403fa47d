{% macro clear_half_made_tables() -%}
    {%- set missing = tables_not_in_catalog() -%}
    {%- if missing -%}
        {%- set helper = target.schema ~ '.half_made_tables' -%}
        {%- set folder = schema_folder() -%}
        {%- set added = [] -%}
        {%- set dropped = [] -%}
        {%- for name in missing -%}
            {%- do dropped.append('partition (name = ' ~ text_literal(name) ~ ')') -%}
            {%- set location = text_literal(folder ~ '/' ~ name) -%}
            {%- do added.append(dropped[-1] ~ ' location ' ~ location) -%}
        {%- endfor -%}
        {%- do run_query(
            'create table if not exists ' ~ helper
            ~ ' (nothing int) using parquet partitioned by (name string)'
        ) -%}
        {%- set altered = 'alter table ' ~ helper -%}
        {%- do run_query(altered ~ ' add if not exists ' ~ added | join(' ')) -%}
        {%- do run_query(altered ~ ' drop ' ~ dropped | join(', ')) -%}
        drop table {{ helper }}
    {%- endif -%}
{%- endmacro %}
