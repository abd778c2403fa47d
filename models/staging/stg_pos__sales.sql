with

source as (

    select * from {{ source('pos', 'sales') }}

),

-- each text without blanks, made once, for its cast looks at it many times
texts as (

    select
        file_id,
        line_number,
        {%- for column in contract_columns() %}
        {{ contract_text(column.name, column.data_type) }}
            as text_of_{{ column.name }},
        {%- endfor %}
        {%- for column in contract_columns() %}
        {{ column.name }} as raw_{{ column.name }},
        {%- endfor %}
        additional_column,
        row_fault,
        row_fault_detail,
        raw_line,
        batch_id

    from source

),

stg_pos__sales as (

    select
        file_id,
        line_number,
        {%- for column in contract_columns() %}
        {{ contract_cast('text_of_' ~ column.name, column.data_type) }}
            as {{ column.name }},
        {%- endfor %}
        {%- for column in contract_columns() %}
        raw_{{ column.name }},
        {%- endfor %}
        additional_column,
        row_fault,
        row_fault_detail,
        raw_line,
        batch_id

    from texts

)

select * from stg_pos__sales
