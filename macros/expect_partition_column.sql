{% macro expect_partition_column(name, column) %}
    {%- set columns = model_named(name).config.get('partition_by') or [] -%}
    {%- set columns = [columns] if columns is string else columns -%}
    {%- if column not in columns -%}
        {{ exceptions.raise_compiler_error(
            name ~ " is not partitioned by '" ~ column ~ "'; expected "
            ~ (columns | join(' or ') or 'a model with partition_by')
        ) }}
    {%- endif -%}
{% endmacro %}
