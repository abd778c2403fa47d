{% macro tables_not_in_catalog() %}
    {%- set missing = [] -%}
    {%- if execute -%}
        {%- set tables = run_query('show tables in ' ~ target.schema) -%}
        {%- set present = tables.columns['tableName'].values() -%}
        {%- for node in graph.nodes.values()
            if node.config.materialized in ('table', 'incremental', 'seed')
            and node.schema == target.schema and node.alias not in present -%}
            {%- do missing.append(node.alias) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(missing) }}
{% endmacro %}
