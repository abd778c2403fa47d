{% macro partitions_built_before(name, column) %}
    {%- if execute -%}
        {%- do expect_partition_column(name, column) -%}
    {%- endif -%}
    {%- set table = built_before(name) -%}
    {{ return(none if table is none else partitions_of(table, column)) }}
{% endmacro %}
